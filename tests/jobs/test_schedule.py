"""Which item goes to whom, with nothing that runs."""

from collections.abc import Iterator

from motionlift.jobs.schedule import Done, Lost, Patience, Schedule, worked

TWICE_THEN_ALONE = Patience(tries=3, alone_from=3)


class Crew:
    """Workers of machines; each item ends as soon as it is waited for, the deadly ones with their worker."""

    def __init__(self, places: list[str], losses: dict[int, int]):
        self.places, self.losses = dict(enumerate(places)), losses
        self.running: dict[int, int] = {}
        self.begun: list[tuple[int, str, frozenset[int]]] = []
        self.refused = 0

    def free(self) -> list[tuple[int, str]]:
        return [(worker, place) for worker, place in self.places.items() if worker not in self.running]

    def give(self, worker: int, item: int) -> bool:
        if self.refused:
            self.refused -= 1
            return False
        beside = {own for other, own in self.running.items() if self.places[other] == self.places[worker]}
        self.begun.append((item, self.places[worker], frozenset(beside)))
        self.running[worker] = item
        return True

    def wait(self) -> Iterator[Done[int, str] | Lost[int]]:
        if not self.running:
            return
        worker, item = next(iter(self.running.items()))
        del self.running[worker]
        if self.losses.get(item, 0):
            self.losses[item] -= 1
            yield Lost(worker)
        else:
            yield Done(worker, f"done {item}")


def ended(crew: Crew, count: int, patience: Patience = TWICE_THEN_ALONE) -> list[str]:
    return list(worked(crew, range(count), lambda item: f"died {item}", patience))


def test_items_begin_in_order_and_each_comes_out_once():
    crew = Crew(["a", "a", "b"], {})
    assert sorted(ended(crew, 7)) == sorted(f"done {item}" for item in range(7))
    assert [item for item, *_ in crew.begun] == list(range(7))


def test_an_item_is_taken_only_when_somebody_is_free_for_it():
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(9):
            taken.append(item)
            yield item

    crew = Crew(["a", "b"], {})
    results = worked(crew, items(), str, TWICE_THEN_ALONE)
    for number in range(1, 5):
        next(results)
        assert len(taken) == number + 1, "one is done, and as many are at work as there are workers, or less"
    results.close()


def test_what_was_lost_is_the_next_and_at_last_alone_on_its_machine():
    crew = Crew(["a", "a", "b", "b"], {0: 2})
    assert sorted(ended(crew, 12)) == sorted(f"done {item}" for item in range(12))
    tries = [(number, place, beside) for number, (item, place, beside) in enumerate(crew.begun) if item == 0]
    assert len(tries) == 3
    assert crew.begun[tries[1][0] - 1][0] == 3, "before items that were not begun yet"
    assert tries[2][2] == frozenset(), "alone"
    assert all(0 not in beside for _, _, beside in crew.begun[tries[2][0] :]), "and it stays so"


def test_a_machine_that_is_kept_free_does_not_hold_up_the_others():
    crew = Crew(["a", "a", "b", "b"], {0: 2})
    ended(crew, 12)
    third = [number for number, (item, *_) in enumerate(crew.begun) if item == 0][2]
    (second,) = [number for number, (item, *_) in enumerate(crew.begun) if item == 0][1:2]
    assert {place for _, place, _ in crew.begun[second + 1 : third]} != {crew.begun[third][1]}


def test_an_item_that_takes_every_worker_with_it_is_given_up():
    crew = Crew(["a", "b"], {2: 99})
    results = ended(crew, 6)
    assert sorted(results) == sorted(["died 2", *(f"done {item}" for item in (0, 1, 3, 4, 5))])
    assert [item for item, *_ in crew.begun].count(2) == 3


def test_one_machine_tries_again_alone_at_once():
    crew = Crew(["", ""], {0: 1, 1: 1})
    assert sorted(ended(crew, 4, Patience(tries=2, alone_from=2))) == sorted(f"done {item}" for item in range(4))
    assert [beside for _, _, beside in crew.begun][2:4] == [frozenset()] * 2


def test_an_item_that_could_not_be_given_is_the_next_and_has_lost_nothing():
    crew = Crew(["a", "b"], {0: 1})
    crew.refused = 1
    assert sorted(ended(crew, 3, Patience(tries=2, alone_from=2))) == ["done 0", "done 1", "done 2"]


def test_what_a_lost_machine_was_kept_free_for_goes_to_another():
    schedule = Schedule(["deadly", "other", "more"], Patience(tries=2, alone_from=2))
    first, second = schedule.begin("a"), schedule.begin("a")
    assert first is not None and second is not None and schedule.lose(first)
    assert schedule.begin("a") is None, "kept free, while the other one is at work"
    assert schedule.lose(second)
    schedule.leave("a")
    turn, also = schedule.begin("b"), schedule.begin("c")
    assert turn is not None and turn.alone and turn.item == "deadly"
    assert also is not None and also.alone and also.item == "other"
    assert schedule.begin("b") is None, "it is alone there"
    more = schedule.begin("d")
    assert more is not None and more.item == "more"
    for each in (turn, also, more):
        assert not schedule.over
        schedule.end(each)
    assert schedule.begin("d") is None and schedule.over


def test_nothing_to_do_is_over_at_once():
    assert ended(Crew(["a"], {}), 0) == []
