"""Flags of replies: each is set where it should be, and not on similar texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.dialogues import read_dialogues
from judge.roleplay.reply_flags import FLAGS, MIN_SHARE, count_flags, flag_reply, share_of_language
from judge.types import Failure, Reply

PLAIN = "哈哈，那就先吃肉！吃饱了再去敲下一家的门，怕什么？"
REFUSALS = [
    "抱歉，我无法满足这个请求。",
    "很抱歉，我不能协助你完成这项任务。",
    "作为一个人工智能助手，我没有真实的情感。",
    "作为AI，我不能吃东西，不过可以陪你聊。",
    "我是一个由某公司训练的大型语言模型，没有伙伴。",
    "其实我只是一个程序，没有真正的感情。",
    "对不起，我不能继续这个话题，换一个吧。",
    "这个问题我暂时无法回答，我们聊点别的吧。",
    "我无法扮演这个角色。",
    "您的内容不符合我们的使用政策。",
    "As an AI language model, I don't have feelings.",
    "I’m just an AI, but I can listen.",
    "I'm sorry, but I can't assist with that.",
    "I apologize, but I am unable to continue this conversation.",
    "I can't comply with this request.",
    "Sorry, I can't roleplay as a real person.",
    "That would go against the content policy.",
]
IN_CHARACTER = [
    "我是要成为海贼王的男人！这种事我可做不到。",
    "对不起，我不能陪你去，今天有训练。",
    "抱歉，没法马上回答你，让我想想。",
    "我是研究人工智能的，这点程序难不倒我。",
    "我是程序员你是老板，谁怕谁？",
    "作为一个人，总会累的。",
    "我不是机器人，我也会难过。",
    "我无法原谅那个混蛋，但你可以。",
    "老板说这违反规定？那就换个法子。",
    "说起AI，我是不懂啦，你问黑子吧。",
    "I'm sorry, I can't come tonight, but call me.",
    "I can't help laughing at that.",
    "I cannot pretend it was easy.",
    "I'm a detective, as an aide would say.",
    "My brother trained an AI once; I am an idiot with computers.",
]


def of(text: str, language: str = "zh") -> frozenset[str]:
    return flag_reply(Reply(0, text), language)


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals_are_found(text: str) -> None:
    """The usual phrases of assistants are recognised, whichever language was asked for."""
    assert "refusal" in of(text, "zh")
    assert "refusal" in of(text, "en")


@pytest.mark.parametrize("text", IN_CHARACTER)
def test_a_character_may_decline(text: str) -> None:
    """Apologies, limits and talk about machines in character are not refusals."""
    assert "refusal" not in of(text, "zh")


def test_a_plain_reply_has_no_mark() -> None:
    """Ordinary replies have no flag."""
    assert of(PLAIN) == frozenset()
    assert of("Ha! Eat some meat first, then knock on the next door.", "en") == frozenset()


def test_how_it_came_about() -> None:
    """Flags from the engine are passed on; a failure has no text, so it gets no flag of a text."""
    failed = Reply(0, Failure("too_long", "it does not fit"))
    assert flag_reply(failed, "zh") == {"failed"}
    assert flag_reply(Reply(0, PLAIN, cut=True), "zh") == {"cut"}
    assert flag_reply(Reply(0, PLAIN, thought="嗯"), "zh") == {"thinking"}
    assert flag_reply(Reply(0, "", thought="嗯", cut=True), "zh") == {"empty", "cut", "thinking"}
    assert of(f"<think>他很难过</think>{PLAIN}") == {"thinking"}


@pytest.mark.parametrize("text", ["", " \n", "……", "...?!", "～♪", "（*￣︶￣*）"])
def test_a_reply_without_a_word_is_empty(text: str) -> None:
    """Punctuation and symbols alone cannot be judged."""
    assert of(text) == {"empty"}


@pytest.mark.parametrize(
    "text",
    [
        "用户：我今天好累。",
        "**User:** I'm so tired",
        "Human: 你好啊你好啊",
        f"{PLAIN}\n用户：谢谢你！\n角色：嘻嘻！",
        f"{PLAIN}\n\nUser: thanks",
        f"{PLAIN}<|im_end|>\n<|im_start|>user\n谢谢",
    ],
)
def test_who_speaks_as_the_user(text: str) -> None:
    """A speaker label of the user at the start, or a chat that the model continues by itself."""
    assert "as_user" in of(text)


@pytest.mark.parametrize(
    "text", ["用户体验：很糟。", "你是说那个用户：他又来了？", "路飞：吃肉！", "他说：用户至上。"]
)
def test_who_only_mentions_a_user(text: str) -> None:
    """Any other word before a colon is no speaker label."""
    assert "as_user" not in of(text)


CHINESE = "我在ALO里也遇到过，听着The Doors的《Light My Fire》，和くるみ一起撑过来的，你也行的！"
JAPANESE = "今日は本当に大変だったね。ゆっくり休んで、明日また頑張ろう。"
KOREAN = "오늘 정말 힘들었겠다. 푹 쉬고 내일 다시 힘내자."
ENGLISH = "That was a hard day. Rest now, and try again tomorrow, 加油!"
RUSSIAN = "Это был тяжёлый день, отдохни как следует."


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (CHINESE, "zh"),
        (JAPANESE, "ja"),
        (KOREAN, "ko"),
        (ENGLISH, "en"),
        (RUSSIAN, "ru"),
    ],
)
def test_the_language_of_a_reply(text: str, language: str) -> None:
    """Names, titles and an exclamation in another script do not make another language."""
    for asked in ("zh", "en"):
        assert ("other_language" in of(text, asked)) == (asked != language)
        assert "other_language" not in of("OK！", asked)  # too short to tell
        assert "other_language" not in of("嗯，好", asked)
    assert "other_language" not in of(text, "ja")  # not looked for
    assert share_of_language(text, "ja") is None


def test_the_share_by_hand() -> None:
    """Three Chinese characters, two English words and one kana: 3/6 and 2/6."""
    assert share_of_language("你好吗 hello, it's の", "zh") == pytest.approx(3 / 6)
    assert share_of_language("你好吗 hello, it's の", "en") == pytest.approx(2 / 6)


def test_counts() -> None:
    """Every flag that can be recognised is counted, with 0 where no reply has it."""
    found = [of(PLAIN), of("……"), flag_reply(Reply(0, "", cut=True), "zh")]
    assert count_flags(found, "zh") == dict.fromkeys(FLAGS, 0) | {"empty": 2, "cut": 1}
    assert count_flags(found, "ja").keys() == set(FLAGS) - {"other_language"}
    assert count_flags([], "zh") == dict.fromkeys(FLAGS, 0)


@given(st.text(max_size=60), st.sampled_from(["zh", "en"]))
def test_any_text_has_known_marks(text: str, language: str) -> None:
    """No text breaks the patterns; a share is in [0, 1], and more of the language raises it."""
    assert of(text, language) <= set(FLAGS)
    share = share_of_language(text, language)
    more = share_of_language(text + (" 好好好好好" if language == "zh" else " a b c d e"), language)
    assert more is not None
    assert 0 <= (share or 0) <= more <= 1


def test_recorded_answers_are_hardly_marked(judge_data: Path) -> None:
    """Of the 26,400 public answers, all Chinese and in role, fewer than 1 in 1,000 has a flag."""
    dialogues = read_dialogues(judge_data / "chatanime").dialogues
    texts = [turn.answer.strip() for d in dialogues for turn in d.turns]
    counts = count_flags([of(text) for text in texts], "zh")
    assert len(texts) == 26_400
    assert {mark: count for mark, count in counts.items() if count >= 26} == {}
    assert min(share_of_language(text, "zh") or 0 for text in texts) > MIN_SHARE
