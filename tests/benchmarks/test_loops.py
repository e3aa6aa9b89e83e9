import loops

TEXT = """HloModule jit_f

%small (p: f32[2]) -> f32[2] {
  %p = f32[2]{0} parameter(0)
  ROOT %add.1 = f32[2]{0} add(%p, %p)
}

%inner (p: (s32[], f32[2])) -> (s32[], f32[2]) {
  %p = (s32[], f32[2]{0}) parameter(0)
  %x = f32[2]{0} get-tuple-element(%p), index=1
  %y = f32[2]{0} fusion(%x), kind=kLoop, calls=%small
  ROOT %t = (s32[], f32[2]{0}) tuple(%x, %y)
}

%outer (p: (s32[], /*index=1*/f32[2])) -> (s32[], f32[2]) {
  %p = (s32[], /*index=1*/f32[2]{0}) parameter(0)
  %w = (s32[], /*index=1*/f32[2]{0}) while(%p), condition=%small, body=%inner
  %c = f32[2]{0} call(%w), to_apply=%small
  %d = f32[2]{0} custom-call(%c), custom_call_target="f"
  ROOT %t = (s32[], f32[2]{0}) tuple(%c, %d)
}

ENTRY %main (p: (s32[], f32[2])) -> (s32[], f32[2]) {
  %p = (s32[], f32[2]{0}) parameter(0)
  %w = (s32[], /*index=1*/f32[2]{0}) while(%p), condition=%small, body=%outer
  ROOT %v = (s32[], f32[2]{0}) while(%w), condition=%small, body=%inner
}
"""


def test_loops_are_counted_in_the_order_of_the_program_inner_ones_after_theirs():
    # The outer one: a loop, what the call runs, and the custom call.
    assert loops.sizes(TEXT) == [3, 1, 1]


def test_a_program_without_loops_has_none():
    assert loops.sizes(TEXT.replace(" while(", " copy(")) == []
