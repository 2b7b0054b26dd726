"""What is amiss with a reply, told by its text and by how it came about.

Marks exclude nothing: the reply is judged as it is, and the report counts its marks. Each is
meant to be right where it is set, at the price of cases that it misses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, get_args

from judge.types import Failure, Reply

__all__ = [
    "LEAST_SHARE",
    "LEAST_UNITS",
    "MARKS",
    "Mark",
    "count_marks",
    "marks",
    "share_of_language",
]

Mark = Literal["failed", "empty", "cut", "thinking", "refusal", "as_user", "other_language"]
"""`failed`: there is no reply. `empty`: no letter and no digit. `cut`: ended by the token limit.
`thinking`: the model thought first, or left the tags of a thought in its reply. `refusal`: it
declines, or speaks as a program. `as_user`: it speaks as the user, or writes on both sides.
`other_language`: most of it is in another writing than the language asked for."""

MARKS: tuple[Mark, ...] = get_args(Mark)

# "Someone who studies artificial intelligence" is no machine.
_MACHINE_ZH = (
    r"(?:AI|人工智能|(?:大型?)?语言模型|大模型|(?:智能|虚拟)助[手理]|聊天机器人)(?![的研学领技])"
)
_MACHINE_EN = (
    r"(?:ai|artificial intelligence|(?:large )?language model|chatbot|virtual assistant)\b"
)
_MADE = "(?:[由基没].{1,20}的)?"  # 由……训练的, 基于……的, 没有……的
_PRODUCT = r"(?:Chat)?GPT\b|Claude\b|Gemini\b|Llama\b|Qwen|DeepSeek|通义千问|文心一言|智谱清言"
_CANNOT = r"(?:can(?:'t|not)|won't|am (?:unable|not able) to|'m (?:unable|not able) to)"
_SERVE_ZH = "(?:回答|提供|满足|协助|完成|处理|继续|参与|讨论)"
_SERVE_EN = "(?:assist|help (?:you )?with|comply|fulfil|provide|engage|continue|role-?play|pretend)"
_ASKED = "(?:请求|要求|内容|话题|问题|指令|任务|对话|服务|信息)"
_REFUSALS = re.compile(
    "|".join(
        [
            # it says what it is
            rf"(?:作为|我(?:其实|只|仅仅|只不过)?是)(?:[你您]的)?{_MADE}(?:一[个名款位])?{_MADE}{_MACHINE_ZH}",
            rf"我(?:其实|只|仅仅|只不过)是(?:一[个段])?(?:计算机|电脑)?程序(?!员)|我是(?:{_PRODUCT})",
            rf"\bas an? {_MACHINE_EN}",
            rf"\bi(?:'m| am) (?:just |only |actually |really )?(?:an? {_MACHINE_EN}|ChatGPT|Qwen)",
            # it declines, in the words of a service
            rf"(?:抱歉|对不起|不好意思).{{0,20}}(?:无法|不能|没法).{{0,6}}{_SERVE_ZH}.{{0,8}}{_ASKED}",
            r"(?:话题|问题|内容).{0,3}我.{0,3}(?:无法|不能)(?:回答|讨论|提供)",
            r"无法(?:提供|给到)相关|我(?:无法|不能|没法)(?:继续)?(?:进行|参与)?(?:角色)?扮演",
            r"(?:违反|不符合)了?.{0,12}(?:使用政策|内容政策|安全准则|社区准则|使用规范)",
            rf"\b(?:sorry|apologi[sz]e|afraid)\b.{{0,20}}\bi ?{_CANNOT} {_SERVE_EN}",
            rf"\bi ?{_CANNOT} (?:comply|fulfil|assist) with (?:this|that|your)",
            rf"\bi ?{_CANNOT} (?:role-?play|pretend to be|take on (?:this|that) (?:role|persona))",
            r"\b(?:content|usage|safety) (?:policy|policies|guidelines)\b",
        ]
    ),
    re.IGNORECASE,
)

_USER = r"(?:用户|使用者|user|human)"
_SPEAKER = r"(?:用户|使用者|角色|助手|助理|user|human|assistant|character)"
_AS_USER = re.compile(
    # the user's name in front, any speaker's name in front of a later line, or a chat template
    rf"\A\W*{_USER}\W{{0,4}}[:：]|\n\W*{_SPEAKER}\W{{0,4}}[:：]|<\|im_start\|>|<\|start_header_id\|>",
    re.IGNORECASE,
)
_THOUGHT = re.compile(r"</?think(?:ing)?>", re.IGNORECASE)

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNITS = {
    "zh": re.compile(f"[{_HAN}]"),
    "en": re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['’-][A-Za-z\u00c0-\u024f]+)*"),
}
_OTHERS = re.compile(
    # Kana, Hangul and Thai as signs; alphabets as words
    r"[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f\u1100-\u11ff\uac00-\ud7af\u0e00-\u0e7f]"
    r"|[\u0370-\u03ff]+|[\u0400-\u04ff]+|[\u0590-\u05ff]+|[\u0600-\u06ff]+|[\u0900-\u097f]+"
)

LEAST_SHARE = 0.7
"""Below this share of its language a reply is in another one. No public reply is below 0.89."""

LEAST_UNITS = 5
"""Fewer characters or words than this do not tell a language: "OK", a name."""


def marks(reply: Reply, language: str) -> frozenset[Mark]:
    """The marks of a reply that was asked for in `language`.

    Refusals are found in Chinese and English, whatever `language` is; `other_language` is set
    only where `share_of_language` can tell.
    """
    found: set[Mark] = set()
    if reply.cut:
        found.add("cut")
    if reply.thought:
        found.add("thinking")
    if isinstance(reply.outcome, Failure):
        return frozenset(found | {"failed"})
    text = reply.outcome
    if not any(map(str.isalnum, text)):
        found.add("empty")
    if _THOUGHT.search(text):
        found.add("thinking")
    if _REFUSALS.search(text.replace("’", "'")):
        found.add("refusal")
    if _AS_USER.search(text):
        found.add("as_user")
    share = share_of_language(text, language)
    if share is not None and share < LEAST_SHARE:
        found.add("other_language")
    return frozenset(found)


def count_marks(found: Iterable[frozenset[Mark]], language: str) -> dict[Mark, int]:
    """How many replies bear each mark, in the order of `MARKS`; one not looked for is missing."""
    sets = list(found)
    known = [mark for mark in MARKS if mark != "other_language" or language in _UNITS]
    return {mark: sum(mark in one for one in sets) for mark in known}


def share_of_language(text: str, language: str) -> float | None:
    """The share of `text` in the writing of `language`, in [0, 1].

    A Chinese character, a sign of another syllabary and a word of an alphabet count one each, so
    that names and brands weigh little. Languages that share a writing are not told apart.

    Returns:
        None for a language other than zh and en, and for a text too short to tell.
    """
    if language not in _UNITS:
        return None
    counts = {name: len(pattern.findall(text)) for name, pattern in _UNITS.items()}
    total = sum(counts.values()) + len(_OTHERS.findall(text))
    return counts[language] / total if total >= LEAST_UNITS else None
