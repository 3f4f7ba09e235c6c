"""The client's bound on pages in memory: who gets a place that becomes free."""

from dataclasses import dataclass, field

from kb4_async.runtime.pool import PagePool, Place


@dataclass
class Reader:
    """A listing that takes as many places as it wants, whenever it is told that one is free."""

    pool: PagePool
    wants: int
    places: list[Place] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.number = self.pool.join()

    def pump(self) -> None:
        """Take what there is."""
        while len(self.places) < self.wants:
            place = self.pool.take(self.number, self.pump)
            if place is None:
                return
            self.places.append(place)

    def give_back(self) -> None:
        """One page is delivered, and no other wanted."""
        self.wants -= 1
        self.places.pop().give_back()


def test_a_free_place_goes_to_the_listing_that_began_first() -> None:
    pool = PagePool(2)
    holder, old, young = (Reader(pool, wants=2) for _ in range(3))
    holder.pump()
    young.pump()
    old.pump()
    holder.give_back()
    assert (len(old.places), len(young.places)) == (1, 0)
    holder.give_back()
    assert (len(old.places), len(young.places)) == (2, 0)
    old.give_back()
    assert (len(old.places), len(young.places)) == (1, 1)


def test_a_place_is_given_back_once_and_a_listing_that_ended_is_told_nothing() -> None:
    pool = PagePool(1)
    holder, ended = Reader(pool, wants=1), Reader(pool, wants=1)
    holder.pump()
    ended.pump()
    pool.forget(ended.number)
    (place,) = holder.places
    place.give_back()
    place.give_back()
    assert pool.free == 1
    assert not ended.places
