"""What a served model reads at start from SOUNDFLOW_… variables."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from soundflow.cascade.chat.port import ChatConfig
from soundflow.models import DEFAULT_MODEL, Around
from soundflow.unified.runtime import Runtime


class ModelSettings(BaseSettings):
    """Which model, what answers spoken questions, and when a session counts as forgotten."""

    model_config = SettingsConfigDict(env_prefix="SOUNDFLOW_", frozen=True)

    # A name, or the path of a checkpoint's folder.
    model: str = DEFAULT_MODEL
    # Any OpenAI-compatible endpoint, such as http://127.0.0.1:11434/v1 of an Ollama.
    chat_base_url: str = ""
    chat_api_key: SecretStr = SecretStr("")
    chat_model: str = ""
    chat_timeout_s: float = Field(default=10, gt=0)
    # A decoder closes a session that nobody calls for so long. Longer than a caller may be away.
    decoder_idle_close_s: float = Field(default=900, gt=0)

    # How a unified model runs; see soundflow/unified/runtime.py.
    unified_device: str = ""
    unified_precision: Literal["", "float32", "bfloat16", "float16"] = ""
    unified_weights: Literal["float", "int8", "fp8"] = "float"
    unified_cache: Literal["float", "fp8"] = "float"
    unified_sessions: int = Field(default=64, gt=0)
    unified_positions: int = Field(default=0, ge=0)

    def around(self) -> Around:
        """Return what the model is given beside its weights."""
        runtime = Runtime(
            device=self.unified_device,
            precision=self.unified_precision,
            weights=self.unified_weights,
            cache=self.unified_cache,
            sessions=self.unified_sessions,
            positions=self.unified_positions,
        )
        return Around(self.chat(), runtime)

    def chat(self) -> ChatConfig:
        """Return the part that the chat model reads."""
        return ChatConfig(
            base_url=self.chat_base_url,
            api_key=self.chat_api_key.get_secret_value(),
            model=self.chat_model,
            timeout_s=self.chat_timeout_s,
        )
