import pytest

from minicnn.training.log import Log

ROW = {"epoch": 2, "loss": 0.98765, "train_accuracy": 87.5, "test_accuracy": 93.25, "lr": 0.00123, "gradient_norm": 1.0}


def test_a_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    with Log(epochs=20) as log:
        log.progress(1, 4)
        log.report(ROW, 812.3)
    shown = capsys.readouterr()
    assert shown.out == "epoch   2/20  loss 0.9877  train  87.5 %  test  93.2 %  lr 1.2e-03    812 images/s\n"
    assert shown.err == ""


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with Log(epochs=20, quiet=True) as log:
        log.progress(1, 4)
        log.report(ROW, 812.3)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_has_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Log(epochs=20) as log:
        log.progress(1, 4)
        log.progress(3, 4)
        log.report(ROW, 812.3)
    shown = capsys.readouterr()
    assert "3/4" in shown.err
    assert shown.out.startswith("epoch   2/20")
