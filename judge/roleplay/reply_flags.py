"""Flags on replies that look wrong, such as refusals, empty replies and replies that were cut.

A flag excludes nothing: the reply is judged as it is, and the report counts the flags. The rules
favour precision over recall: a flag that is set is meant to be right, and some cases are missed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, get_args

from judge.types import Failure, Reply

__all__ = ["FLAGS", "MIN_SHARE", "Flag", "count_flags", "flag_reply", "share_of_language"]

Flag = Literal["failed", "empty", "cut", "thinking", "refusal", "as_user", "other_language"]
"""`failed`: the model could not reply. `empty`: the reply has no letter and no digit. `cut`: the
token limit ended it. `thinking`: the model thought first, or left thinking tags in its reply.
`refusal`: it declines, or says that it is a program. `as_user`: it speaks as the user, or writes
both sides of the dialogue. `other_language`: most of it is not in the script of the language that
was asked for."""

FLAGS: tuple[Flag, ...] = get_args(Flag)

# The lookahead excludes people: "AI researcher" does not mean that the speaker is a machine.
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
            # it says that it is a program
            rf"(?:作为|我(?:其实|只|仅仅|只不过)?是)(?:[你您]的)?{_MADE}(?:一[个名款位])?{_MADE}{_MACHINE_ZH}",
            rf"我(?:其实|只|仅仅|只不过)是(?:一[个段])?(?:计算机|电脑)?程序(?!员)|我是(?:{_PRODUCT})",
            rf"\bas an? {_MACHINE_EN}",
            rf"\bi(?:'m| am) (?:just |only |actually |really )?(?:an? {_MACHINE_EN}|ChatGPT|Qwen)",
            # it declines with the usual phrases of an assistant
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
    # "user:" at the start, any speaker's name at the start of a later line, or a chat template
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
    # Kana, Hangul and Thai are counted by character, alphabetic scripts by word
    r"[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f\u1100-\u11ff\uac00-\ud7af\u0e00-\u0e7f]"
    r"|[\u0370-\u03ff]+|[\u0400-\u04ff]+|[\u0590-\u05ff]+|[\u0600-\u06ff]+|[\u0900-\u097f]+"
)

MIN_SHARE = 0.7
"""A reply with a smaller share of the script of its language is flagged `other_language`. No reply
of the public dialogues is below 0.89."""

_MIN_UNITS = 5
"""A text with fewer characters or words than this, such as "OK" or a name, shows no language."""


def flag_reply(reply: Reply, language: str) -> frozenset[Flag]:
    """The flags of a reply that was asked for in `language`.

    Refusals are recognised in Chinese and English, whatever `language` is. `other_language` is set
    only where `share_of_language` is known.
    """
    flags: set[Flag] = set()
    if reply.cut:
        flags.add("cut")
    if reply.thought:
        flags.add("thinking")
    if isinstance(reply.outcome, Failure):
        return frozenset(flags | {"failed"})
    text = reply.outcome
    if not any(map(str.isalnum, text)):
        flags.add("empty")
    if _THOUGHT.search(text):
        flags.add("thinking")
    if _REFUSALS.search(text.replace("’", "'")):
        flags.add("refusal")
    if _AS_USER.search(text):
        flags.add("as_user")
    share = share_of_language(text, language)
    if share is not None and share < MIN_SHARE:
        flags.add("other_language")
    return frozenset(flags)


def count_flags(flags: Iterable[frozenset[Flag]], language: str) -> dict[Flag, int]:
    """How many replies have each flag, in the order of `FLAGS`.

    Args:
        language: that was asked for. `other_language` is left out where it cannot be recognised.
    """
    of_replies = list(flags)
    checked = [flag for flag in FLAGS if flag != "other_language" or language in _UNITS]
    return {flag: sum(flag in reply for reply in of_replies) for flag in checked}


def share_of_language(text: str, language: str) -> float | None:
    """The share of `text` that is written in the script of `language`, in [0, 1].

    Each Chinese character, each character of another syllabary and each word of an alphabetic
    script counts as one unit, so that foreign names have little weight. Languages with the same
    script cannot be told apart.

    Returns:
        None for languages other than zh and en, and for texts of fewer than five units.
    """
    if language not in _UNITS:
        return None
    counts = {name: len(pattern.findall(text)) for name, pattern in _UNITS.items()}
    total = sum(counts.values()) + len(_OTHERS.findall(text))
    return counts[language] / total if total >= _MIN_UNITS else None
