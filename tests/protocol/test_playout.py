from __future__ import annotations

from offhook.protocol.playout import Cut, Playout, Started, Stopped

MS = b"\1\0" * 24


def test_an_answer_leaves_in_real_time_and_says_when() -> None:
    playout = Playout()
    playout.put("r", "i", MS * 30)
    playout.finish("r")
    assert playout.pull(20) == (MS * 20, [Started("r")])
    assert playout.pull(20) == (MS * 10, [Stopped("r")])
    assert playout.pull(20) == (b"", [])
    assert not playout.busy


def test_an_answer_that_is_made_too_slowly_does_not_stop() -> None:
    playout = Playout()
    playout.put("r", "i", MS * 10)
    assert playout.pull(20) == (MS * 10, [Started("r")])
    assert playout.pull(20) == (b"", [])
    playout.put("r", "i", MS * 10)
    assert playout.pull(20) == (MS * 10, [])
    playout.finish("r")
    assert playout.pull(20) == (b"", [Stopped("r")])


def test_an_answer_lacks_what_is_still_being_made() -> None:
    playout = Playout()
    assert not playout.lacks(20)
    playout.put("r", "i", MS * 30)
    assert not playout.lacks(20)
    playout.pull(20)
    assert playout.lacks(20)
    playout.put("r", "j", MS * 10)
    assert not playout.lacks(20)
    playout.pull(20)
    assert playout.lacks(20)
    playout.finish("r")
    assert not playout.lacks(20)


def test_the_next_answer_follows_without_a_gap() -> None:
    playout = Playout()
    for name in ("a", "b"):
        playout.put(f"r{name}", f"i{name}", MS * 10)
        playout.finish(f"r{name}")
    pcm, notices = playout.pull(20)
    assert len(pcm) == 20 * 48
    assert notices == [Started("ra"), Stopped("ra"), Started("rb"), Stopped("rb")]


def test_two_items_of_one_answer_start_and_stop_once() -> None:
    playout = Playout()
    playout.put("r", "i1", MS * 10)
    playout.put("r", "i2", MS * 10)
    playout.finish("r")
    assert playout.pull(20)[1] == [Started("r"), Stopped("r")]


def test_what_is_cut_knows_how_much_of_it_was_played() -> None:
    playout = Playout()
    playout.put("r", "i", MS * 100)
    playout.put("s", "j", MS * 100)
    playout.pull(20)
    playout.pull(20)
    assert playout.clear() == [Cut("r", "i", 40), Cut("s", "j", 0)]
    assert playout.pull(20) == (b"", [])


def test_of_a_response_that_was_cleared_nothing_more_is_played() -> None:
    playout = Playout()
    playout.put("resp_1", "item_1", bytes(4800))
    playout.pull(20)
    playout.clear()
    playout.put("resp_1", "item_1", bytes(4800))
    assert playout.pull(20) == (b"", [])
    playout.finish("resp_1")
    playout.put("resp_2", "item_2", bytes(960))
    pcm, [started] = playout.pull(20)
    assert (len(pcm), started.response_id) == (960, "resp_2")
    assert playout.position == ("item_2", 20)
