from foreword.core.protocols import Model
from foreword.testing.models import ScriptedModel


def test_follows_its_script_and_keeps_the_calls():
    model = ScriptedModel(lambda chat, prefix: f"{chat[-1]['content']} after {prefix}")
    seen = []
    (reply,) = model.generate(
        [[{"role": "user", "content": "a b"}]], prefix="P", max_new_tokens=3, progress=seen.append
    )
    assert (reply.prefix, reply.continuation, reply.tokens, reply.stopped) == (
        "P",
        "a b after",
        3,
        False,
    )
    assert model.calls[0][1] == "P"
    assert seen == [1]
    assert isinstance(model, Model)
