import pytest

from motionlift.core.memory import Measures, Weights
from motionlift.errors import SettingError


def test_measures_are_named_in_the_order_of_their_price_in_time():
    assert Measures().taken == ()
    every = Measures(True, True, True, True, True, Weights.NF4)
    assert every.taken == ("one_by_one", "parts", "recomputed", "waiting", "offloaded", "nf4")
    assert Measures(recomputed=True, weights=Weights.FP8).taken == ("recomputed", "fp8")


def test_a_word_for_the_weights_is_one_of_those_that_there_are():
    assert Measures(weights="fp8").weights is Weights.FP8
    with pytest.raises(
        SettingError,
        match=r"^weights are to be held as 'fp4'; allowed are own, fp8, int8, nf4, torchao-int8, quanto-int8, quanto-int4$",
    ):
        Measures(weights="fp4")
