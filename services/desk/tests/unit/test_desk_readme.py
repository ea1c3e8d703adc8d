from pathlib import Path

from tapewire.desk.settings import DeskSettings
from tapewire.service import ServiceSettings

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_every_setting_of_its_own_stands_in_the_readme():
    own = set(DeskSettings.model_fields) - set(ServiceSettings.model_fields)
    missing = [name for name in own if f"`TAPEWIRE_{name.upper()}`" not in README]
    assert missing == []


def test_the_readme_has_the_sections_that_every_service_has():
    sections = ["Owns", "Consumes", "Produces", "State", "Settings", "Failure modes"]
    found = [line[3:] for line in README.splitlines() if line.startswith("## ")]
    assert [one for one in found if one in sections] == sections
