import pytest, tiny_tasks, json
@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return tiny_tasks.classifier(tmp_path_factory.getbasetemp())
@pytest.fixture(scope="session")
def run2(tmp_path_factory):
    return tiny_tasks.series_classifier(tmp_path_factory.getbasetemp())
@pytest.fixture(scope="session")
def run3(tmp_path_factory):
    return tiny_tasks.tagger(tmp_path_factory.getbasetemp())
def test_a(run): print(run.printed)
def test_b(run2): print(run2.printed)
def test_c(run3): print(run3.printed)
