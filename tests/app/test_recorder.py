"""What records from a camera asks for no sound and no FFmpeg, and turns nothing around."""

from gradio.data_classes import FileData

from motionlift.app.recorder import recorder


def test_it_records_pictures_as_they_are():
    camera = recorder()
    told = camera.get_config()
    assert (told["sources"], told["include_audio"], told["webcam_options"]["mirror"]) == (["webcam"], False, False)
    assert camera.preprocess(FileData(path="/tmp/gradio/0/sample.webm")) == "/tmp/gradio/0/sample.webm"
    assert camera.preprocess(None) is None
