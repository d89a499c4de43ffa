"""Pictures made of characters say the same as the figures."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.cli.learning import show_quality, show_trials
from tacit.cli.output import Output
from tacit.cli.pictures import bar, span
from tacit.learning.assessment.evidence import Lift
from tacit.learning.assessment.statistics import share
from tacit.learning.studying.forecasts import Quality, Stage
from tacit.learning.trials.report import AdviceTrial
from tacit.learning.trials.trial import Trial

pytestmark = pytest.mark.requirement("AP-04")


def test_a_bar_is_as_long_as_the_share() -> None:
    assert (bar(0.0), len(bar(0.5)), len(bar(1.0))) == ("", 15, 30)


def test_an_interval_is_drawn_where_it_lies() -> None:
    assert span(0.5, 0.7, 0.9) == "····················│·········├───●───┤··"
    assert span(-0.1, 0.0, 0.1) == "··················├─●─┤··················"
    assert span(-0.5, -0.2, 0.3) == "··········├─────●───┼─────┤··············"


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3).map(sorted))
def test_whatever_the_interval_its_ends_stand_around_its_value(ends: list[float]) -> None:
    drawn = span(*ends)
    assert len(drawn) == 41
    assert drawn.count("●") == 1
    assert max(drawn.find("├"), 0) <= drawn.index("●") <= (drawn.find("┤") if "┤" in drawn else 40)


def test_a_learning_curve_is_drawn_when_it_has_several_stages(capsys: pytest.CaptureFixture[str]) -> None:
    stages = [
        Stage(
            episodes=20,
            answered=20,
            brier=0.2,
            brier_interval=(0.1, 0.3),
            brier_prior=0.25,
            skill=skill,
            skill_interval=(skill - 0.2, skill + 0.2),
            next_tool=share(right, 20),
        )
        for skill, right in ((0.0, 5), (0.5, 18))
    ]
    quality = Quality(whole=stages[1], curve=tuple(stages), kinds={}, calibration=())
    show_quality(Output(json=False, quiet=False), quality)
    drawn = [line for line in capsys.readouterr().out.splitlines() if "●" in line]
    assert [line.split()[:3] for line in drawn] == [["1", "…", "20"], ["21", "…", "40"]]
    assert [line.count("█") for line in drawn] == [len(bar(share(right, 20).value)) for right in (5, 18)]
    show_quality(Output(json=False, quiet=False), msgspec.structs.replace(quality, curve=(stages[0],)))
    assert "●" not in capsys.readouterr().out


def test_the_lift_of_each_piece_of_advice_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    lift = Lift(0.4, 0.2, 0.6, 0.01, 0.9, 0.5, 20, 20)
    trial = Trial(shown=20, shown_successes=18, withheld=20, withheld_successes=10, wealth=0.1, lift=lift)
    told = AdviceTrial(id="ask first", text="use ask", trial=trial, demoted=False)
    show_trials(Output(json=False, quiet=False), [told])
    assert span(0.2, 0.4, 0.6) in capsys.readouterr().out
