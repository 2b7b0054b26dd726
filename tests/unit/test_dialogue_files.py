"""Dialogues as people store them: chats, rows with other headings, answers side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from judge.dialogues import read_dialogues
from judge.errors import DataError
from judge.types import Dialogue, Turn

ONE = (Turn("今天好累。", "先歇一歇。"), Turn("睡不着。", "我陪你。"))
USER = [{"role": "user", "content": "今天好累。"}, {"role": "assistant", "content": "先歇一歇。"}]
CHAT = [
    *USER,
    {"role": "user", "content": "睡不着。"},
    {"role": "assistant", "content": "我陪你。"},
]
SHARE = [
    {"from": "human", "value": "今天好累。"},
    {"from": "gpt", "value": "先歇一歇。"},
    {"from": "human", "value": "睡不着。"},
    {"from": "gpt", "value": "我陪你。"},
]
FLAT = {"question_r1": "今天好累。", "answer_r1": "先歇一歇。"} | {
    "question_r2": "睡不着。",
    "answer_r2": "我陪你。",
}
PLACE = {"character": "林小雨", "scenario": 1}


def read(tmp_path: Path, content: object, name: str = "bot.json") -> tuple[Dialogue, ...]:
    return found(tmp_path, content, name)[0]


def found(
    tmp_path: Path, content: object, name: str = "bot.json"
) -> tuple[tuple[Dialogue, ...], tuple[str, ...]]:
    path = tmp_path / name
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    path.write_text(text, encoding="utf-8")
    read = read_dialogues(path)
    return read.dialogues, read.notes


@pytest.mark.parametrize(
    "record",
    [
        {**PLACE, "messages": CHAT},
        {**PLACE, "conversations": SHARE},
        {**PLACE, **FLAT},
        {"角色": "林小雨", "对话编号": "1", "问题1": "今天好累。", "回答1": "先歇一歇。"}
        | {"问题2": "睡不着。", "回答2": "我陪你。"},
        {**PLACE, "messages": json.dumps(CHAT)},
        {
            **PLACE,
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "今天好累。"}]},
                *CHAT[1:],
            ],
        },
    ],
)
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_one_record_per_dialogue(tmp_path: Path, record: dict[str, object], suffix: str) -> None:
    """OpenAI's messages, ShareGPT's conversations, flat rounds: in a list, or one a line."""
    content = [record] if suffix == ".json" else json.dumps(record)
    dialogues, notes = found(tmp_path, content, f"bot{suffix}")
    assert dialogues == (Dialogue("bot", "林小雨", "1", ONE),)
    assert notes == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "x.csv",
            "系统,角色,场景,轮次,问题,回答\nbot,林小雨,1,1,今天好累。,先歇一歇。\nbot,林小雨,1,2,睡不着。,我陪你。\n",
        ),
        (
            "x.csv",
            "MODEL,Character,Scenario,ROUND,User,Response\nbot,林小雨,1,1,今天好累。,先歇一歇。\nbot,林小雨,1,2,睡不着。,我陪你。\n",
        ),
        (
            "bot.tsv",
            "character\tscenario\tround\tquestion\tanswer\n林小雨\t1\t2\t睡不着。\t我陪你。\n林小雨\t1\t1\t今天好累。\t先歇一歇。\n",
        ),
        (
            "bot.csv",
            "system,character,scenario,round,question,answer,,\n,林小雨,1,1,今天好累。,先歇一歇。,,\n,林小雨,1,2,睡不着。,我陪你。,,\n",
        ),
    ],
)
def test_rows_with_other_headings(tmp_path: Path, name: str, text: str) -> None:
    """Chinese, in capitals, `model` for system; a blank column of systems is none."""
    assert read(tmp_path, text, name) == (Dialogue("bot", "林小雨", "1", ONE),)


@pytest.mark.parametrize("suffix", [".json", ".xlsx", ".parquet"])
def test_rows_in_other_files(tmp_path: Path, suffix: str) -> None:
    """A list of rows, a workbook and Parquet hold the same table."""
    pd = pytest.importorskip("pandas")
    rows = [
        {"system": "bot", **PLACE, "round": n, "question": t.question, "answer": t.answer}
        for n, t in enumerate(ONE, start=1)
    ]
    path = tmp_path / f"x{suffix}"
    frame = pd.DataFrame(rows)
    if suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif suffix == ".xlsx":
        frame.to_excel(path, index=False)
    else:
        frame.to_parquet(path)
    assert read_dialogues(path).dialogues == (Dialogue("bot", "林小雨", "1", ONE),)


HEADER = "character,scenario,round,question,answer\n"


def test_rounds_from_0_and_without_numbers(tmp_path: Path) -> None:
    """Both are read in their order, and it is said; any number of rounds will do."""
    zero = "林小雨,1,0,今天好累。,先歇一歇。\n林小雨,1,1,睡不着。,我陪你。\n"
    dialogues, notes = found(tmp_path, HEADER + zero, "bot.csv")
    assert dialogues == (Dialogue("bot", "林小雨", "1", ONE),)
    assert notes == ("bot.csv: rounds are counted from 0.",)
    none = "character,scenario,question,answer\n林小雨,1,今天好累。,先歇一歇。\n"
    none += "林小雨,1,睡不着。,我陪你。\n"
    dialogues, notes = found(tmp_path, none, "bot.csv")
    assert dialogues == (Dialogue("bot", "林小雨", "1", ONE),)
    assert notes == ("bot.csv has no column round: the rows of a dialogue are its rounds.",)
    many = HEADER + "".join(f"a,1,{n},q{n},r{n}\n" for n in range(1, 8))
    assert len(read(tmp_path, many, "bot.csv")[0].turns) == 7
    with pytest.raises(DataError, match="round 1 of bot/a/1 is missing"):
        found(tmp_path, HEADER + "a,1,0,q,r\na,1,2,q,r\n", "bot.csv")


@pytest.mark.parametrize(
    "headings",
    [
        ("answer_gpt-x", "answer_qwen y"),
        ("gpt-x answer", "qwen y_answer"),
        ("回答（gpt-x）", "回答:qwen y"),
    ],
)
def test_answers_side_by_side(tmp_path: Path, headings: Sequence[str]) -> None:
    """A column of answers for each system makes a dialogue of each."""
    text = f"character,scenario,question,{','.join(headings)}\n林小雨,1,今天好累。,甲,乙\n"
    assert read(tmp_path, text, "bot.csv") == (
        Dialogue("gpt-x", "林小雨", "1", (Turn("今天好累。", "甲"),)),
        Dialogue("qwen y", "林小雨", "1", (Turn("今天好累。", "乙"),)),
    )


def test_two_systems_in_the_column_model(tmp_path: Path) -> None:
    """They are two systems, also where they share a character and a scenario."""
    text = "model,character,scenario,round,question,answer\nx,a,1,1,q,r\ny,a,1,1,q,s\n"
    assert [d.system for d in read(tmp_path, text, "all.csv")] == ["x", "y"]


def test_thoughts_are_set_aside(tmp_path: Path) -> None:
    """What a model thought is no part of its answer; how many answers had it is said."""
    answers = [
        "<think>她累了。</think>\n\n先歇一歇。",
        "想一想</think>好。",
        "没有。",
        "<think>没想完",
    ]
    text = "character,scenario,round,question,answer\n"
    rows = [{"character": "a", "scenario": i, "round": 1, "question": "q"} for i in range(4)]
    content = [{**row, "answer": answer} for row, answer in zip(rows, answers, strict=True)]
    dialogues, notes = found(tmp_path, content)
    assert text
    assert [d.turns[0].answer for d in dialogues] == ["先歇一歇。", "好。", "没有。", ""]
    assert notes == ("bot.json: thoughts (<think>) were set aside in 3 answers.",)


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("你是《海贼王》的蒙奇·D·路飞，热血的船长。", "《海贼王》的蒙奇·D·路飞"),
        ("请你扮演林小雨。", "林小雨"),
        ("你现在扮演“林小雨”，陪用户聊天", "林小雨"),
        ("角色：林小雨\n性格：温柔", "林小雨"),
        ("You are Asuna, a swordswoman.", "Asuna"),
        ("You are now playing the character Asuna from Sword Art Online.", "Asuna"),
        ("You are a role-play assistant. Your name is Asuna.", "Asuna"),
    ],
)
def test_the_system_prompt_names_the_character(tmp_path: Path, prompt: str, name: str) -> None:
    """Where there is no column for it; chats with one first question are of one scenario."""
    chat = {"model": "x", "messages": [{"role": "system", "content": prompt}, *CHAT]}
    other = {"model": "y", "system": prompt, "messages": CHAT}
    dialogues, notes = found(tmp_path, [chat, other])
    assert dialogues == (Dialogue("x", name, "1", ONE), Dialogue("y", name, "1", ONE))
    assert notes == (
        "bot.json: the system prompt named the character of 2 dialogues.",
        "bot.json has no scenarios: dialogues with the same first question have the same.",
    )


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"messages": CHAT}, ":1: no column character, and no system prompt"),
        (
            {"messages": [{"role": "system", "content": "You are a helpful assistant."}, *CHAT]},
            "no column character, and no system prompt",
        ),
        ({**PLACE, "messages": []}, "messages must be a list, found a list"),
        ({**PLACE, "messages": "x"}, "the messages are not valid JSON"),
        ({**PLACE, "messages": ["x"]}, "a message must be an object, found text"),
        ({**PLACE, "messages": [{"role": "tool", "content": "x"}]}, "the role 'tool'"),
        ({**PLACE, "messages": [{"role": "user", "content": 3}]}, "content of a message must be"),
        (
            {**PLACE, "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "something other than text",
        ),
        ({**PLACE, "messages": [{"role": "system", "content": "x"}]}, "hold no round"),
    ],
)
def test_chats_that_cannot_be_read(tmp_path: Path, record: dict[str, object], message: str) -> None:
    """Each is an error with the record; nothing is guessed."""
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, [record])
    assert caught.value.line == 1


def test_a_single_chat(tmp_path: Path) -> None:
    """A .json file may be one chat; OpenAI calls the system prompt the developer's, too."""
    developer = {"role": "developer", "content": "你是林小雨。"}
    for chat in ({**PLACE, "messages": CHAT}, {"scenario": 1, "messages": [developer, *CHAT]}):
        assert read(tmp_path, chat) == (Dialogue("bot", "林小雨", "1", ONE),)


def test_odd_chats(tmp_path: Path) -> None:
    """A greeting, two messages in a row, and a last question without an answer are all kept."""
    messages = [
        {"role": "assistant", "content": "你好！"},
        {"role": "user", "content": "累。"},
        {"role": "user", "content": "真的。"},
        {"role": "assistant", "content": "歇"},
        {"role": "assistant", "content": "歇。"},
        {"role": "user", "content": "好。"},
    ]
    (dialogue,) = read(tmp_path, [{**PLACE, "messages": messages}])
    assert dialogue.turns == (
        Turn("", "你好！"),
        Turn("累。\n真的。", "歇\n歇。"),
        Turn("好。", ""),
    )
    with pytest.raises(DataError, match="bot/林小雨/1 appears twice"):
        read(tmp_path, [{**PLACE, "messages": CHAT}] * 2)


def test_files_that_systems_leave_in_folders(tmp_path: Path) -> None:
    """They hold no dialogues, whatever they are called; tables are read where there is no JSON."""
    for name in ("._bot.json", ".DS_Store", "Thumbs.db", "~$bot.xlsx", "desktop.ini"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    (tmp_path / "b.csv").write_text(HEADER + "a,1,1,q,r\n", encoding="utf-8")
    assert [d.system for d in read_dialogues(tmp_path).dialogues] == ["b"]
    (tmp_path / "c.json").write_text(json.dumps([{**PLACE, **FLAT}]), encoding="utf-8")
    assert [d.system for d in read_dialogues(tmp_path).dialogues] == ["c"]
