from tapewire.edge.siblings import merged

ONE = """\
# HELP tapewire_connections Open connections
# TYPE tapewire_connections gauge
tapewire_connections{transport="ws"} 3.0
# HELP up Whether it is up
# TYPE up gauge
up 1.0
"""
TWO = ONE.replace("3.0", "4.0")


def test_each_workers_samples_stand_under_one_family_with_its_number():
    assert merged({"0": ONE, "1": TWO}) == (
        "# HELP tapewire_connections Open connections\n"
        "# TYPE tapewire_connections gauge\n"
        'tapewire_connections{worker="0",transport="ws"} 3.0\n'
        'tapewire_connections{worker="1",transport="ws"} 4.0\n'
        "# HELP up Whether it is up\n"
        "# TYPE up gauge\n"
        'up{worker="0"} 1.0\n'
        'up{worker="1"} 1.0\n'
    )


def test_braces_and_spaces_in_a_label_are_left_alone():
    text = '# TYPE a counter\na_total{path="/x {y} z"} 1.0\n'
    assert 'a_total{worker="7",path="/x {y} z"} 1.0' in merged({"7": text})
