"""What may happen to a user, as steps that a `Player` takes: any of it, in any order."""

from hypothesis import strategies as st

MARKS = {
    "read": ("read", {"ids": []}),
    "read-all": ("read-all", {}),
    "archive": ("archive", {"ids": []}),
    "archive all": ("archive", {"all": True}),
    "archive all and one": ("archive", {"ids": [], "all": True}),
}
"""Path and body; one of the alerts is put where ids are to be."""

DECISION = {"algorithmId": "a", "decision": "buy", "reasoning": "up", "confidence": 0.5}


def alert(level):
    """Return the fields of an alert."""
    return {
        "alertLevel": level,
        "alertType": "loss_limit",
        "message": "near",
        "currentValue": 91,
        "threshold": 90,
    }


def status(pnl, equity=None, status="active"):
    """Return the fields of where a session stands."""
    data = {"currentPnL": pnl} | ({"equity": equity} if equity else {})
    return {"status": status, "data": data}


ALERTS = st.tuples(st.just("risk_alert"), st.sampled_from(["warning", "critical"]).map(alert))
EVENTS = st.one_of(
    st.tuples(st.just("session_started"), st.just({"algorithmId": "a"})),
    st.tuples(
        st.just("session_status"),
        st.builds(
            status,
            st.integers(-500, 500),
            st.none() | st.integers(1, 9000),
            st.sampled_from(["active", "paused"]),
        ),
    ),
    st.tuples(st.just("session_completed"), st.sampled_from([{}, {"summary": {"finalPnL": 7}}])),
    st.tuples(st.just("algorithm_decision"), st.just(DECISION)),
    ALERTS,
    ALERTS,  # twice as often: marks need something to be put on
)
PUBLISH = st.tuples(
    st.just("publish"), EVENTS, st.sampled_from(["s-1", "s-2"]), st.sampled_from([0.0, 0.4, 1, 3])
)
MARK = st.tuples(
    st.just("mark"),
    st.sampled_from(list(MARKS.values())),
    st.integers(0, 9),
).map(lambda step: (step[0], *step[1], step[2]))
CHANGE = st.tuples(
    st.just("change"),
    st.sampled_from(
        [{"marketDataRate": 2}, {"marketDataRate": None}, {"muted": ["trade_executed"]}]
    ),
)
STEP = st.one_of(PUBLISH, PUBLISH, MARK, CHANGE)
# What happens before the page asks, and after it: only the latter is carried on.
STEPS = st.tuples(st.lists(STEP, max_size=6), st.lists(STEP, min_size=4, max_size=12)).map(
    lambda parts: [*parts[0], ("look",), *parts[1]]
)
