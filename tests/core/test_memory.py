from motionlift.core.memory import Measures, Weights


def test_measures_are_named_in_the_order_of_their_price_in_time():
    assert Measures().taken == ()
    every = Measures(True, True, True, True, True, Weights.NF4)
    assert every.taken == ("one_by_one", "parts", "recomputed", "waiting", "offloaded", "nf4")
    assert Measures(recomputed=True, weights=Weights.FP8).taken == ("recomputed", "fp8")
