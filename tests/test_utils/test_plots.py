"""The style that all pictures share."""

from dpk_mm.utils.plots import COLOURS, stage_colours


def test_a_stage_has_one_colour_in_all_pictures():
    whole, part = stage_colours(['p3', 'p4', 'p5']), stage_colours(['p4', 'p5'])
    assert part == {stage: whole[stage] for stage in part} and len(set(whole.values())) == 3
    assert stage_colours(['neck[0]', 'neck[1]']) == dict(zip(['neck[0]', 'neck[1]'], COLOURS))
    # numbers that do not tell them apart, or that some lack
    assert list(stage_colours(['a.0', 'b.0', 'c']).values()) == list(COLOURS[:3])
