"""The fields of a session, as clients may set them.

Source: OpenAI's API reference for `session.update`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from offhook.protocol.mcp import McpTool
from offhook.protocol.validation import Strict


class PcmFormat(Strict):
    """24 kHz signed 16-bit little-endian mono."""

    type: Literal["audio/pcm"]
    rate: Literal[24000] = 24000


class G711Format(Strict):
    """8 kHz G.711, mu-law or A-law."""

    type: Literal["audio/pcmu", "audio/pcma"]


AudioFormat = Annotated[PcmFormat | G711Format, Field(discriminator="type")]


class Transcription(Strict):
    """How the caller's speech is written down; absent means not at all."""

    model: str = "gpt-transcribe"
    language: str | None = None
    languages: list[str] | None = None
    keywords: list[str] | None = None
    prompt: str | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class NoiseReduction(Strict):
    """Accepted for compatibility: the local endpoint's ear does not need it."""

    type: Literal["near_field", "far_field"]
    strength: float | None = None


class ServerVad(Strict):
    """A turn ends after a fixed stretch of silence."""

    type: Literal["server_vad"]
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    prefix_padding_ms: Annotated[int, Field(ge=0, le=5000)] = 300
    silence_duration_ms: Annotated[int, Field(ge=0, le=10000)] = 500
    idle_timeout_ms: Annotated[int, Field(ge=5000, le=30000)] | None = None
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(Strict):
    """A turn ends when the caller seems to be done."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class AudioInput(Strict):
    """What the caller sends."""

    format: AudioFormat | None = None
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetection | None = None


class CustomVoice(Strict):
    """A voice of the account's own."""

    id: str


class AudioOutput(Strict):
    """What the caller hears."""

    format: AudioFormat | None = None
    voice: str | CustomVoice | None = None
    speed: Annotated[float, Field(ge=0.25, le=1.5)] | None = None


class Audio(Strict):
    """Both directions."""

    input: AudioInput | None = None
    output: AudioOutput | None = None


class TranscriptionAudio(Strict):
    """A transcription session hears and does not speak."""

    input: AudioInput | None = None


class FunctionTool(Strict):
    """A function of the client's."""

    type: Literal["function"]
    name: Annotated[str, Field(pattern="^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class FunctionChoice(Strict):
    """This function has to be called."""

    type: Literal["function"]
    name: str


class McpChoice(Strict):
    """A tool of this server has to be called."""

    type: Literal["mcp"]
    server_label: str
    name: str | None = None


class Reasoning(Strict):
    """How hard the model thinks; the local endpoint answers at once."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class TokenLimits(Strict):
    """How much of a conversation is kept."""

    post_instructions: Annotated[int, Field(ge=0)] | None = None


class RetentionRatio(Strict):
    """How a conversation that is too long is cut."""

    type: Literal["retention_ratio"]
    retention_ratio: Annotated[float, Field(ge=0, le=1)]
    token_limits: TokenLimits | None = None


class Tracing(Strict):
    """Where the real service would write its traces."""

    workflow_name: str | None = None
    group_id: str | None = None
    metadata: dict[str, Any] | None = None


class PromptTemplate(Strict):
    """A prompt kept at the real service."""

    id: str
    version: str | None = None
    variables: dict[str, Any] | None = None


Tool = Annotated[FunctionTool | McpTool, Field(discriminator="type")]
Modalities = Annotated[list[Literal["text", "audio"]], Field(min_length=1)]
MaxTokens = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]
ToolChoice = (
    Literal["auto", "none", "required"]
    | Annotated[FunctionChoice | McpChoice, Field(discriminator="type")]
)
Include = list[Literal["item.input_audio_transcription.logprobs"]]
