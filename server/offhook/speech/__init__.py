"""Speech without a network: voice activity, recogniser, responder, synthesiser."""

from offhook.speech.activity import Detector
from offhook.speech.engines import Engines
from offhook.speech.listener import CALL_RATE, Activity, Listener
from offhook.speech.recogniser import Recogniser
from offhook.speech.responder import Responder
from offhook.speech.sentences import Splitter
from offhook.speech.synthesiser import DEFAULT_VOICE, VOICES, Synthesiser

__all__ = [
    "CALL_RATE",
    "DEFAULT_VOICE",
    "VOICES",
    "Activity",
    "Detector",
    "Engines",
    "Listener",
    "Recogniser",
    "Responder",
    "Splitter",
    "Synthesiser",
]
