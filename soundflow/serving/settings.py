"""What a served model reads at start from SOUNDFLOW_… variables."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from soundflow.cascade.chat.port import ChatConfig
from soundflow.models import DEFAULT_MODEL


class ModelSettings(BaseSettings):
    """Which model, what answers spoken questions, and when a session counts as forgotten."""

    model_config = SettingsConfigDict(env_prefix="SOUNDFLOW_", frozen=True)

    model: str = DEFAULT_MODEL
    # Any OpenAI-compatible endpoint, such as http://127.0.0.1:11434/v1 of an Ollama.
    chat_base_url: str = ""
    chat_api_key: SecretStr = SecretStr("")
    chat_model: str = ""
    chat_timeout_s: float = Field(default=10, gt=0)
    # A decoder closes a session that nobody calls for so long. Longer than a caller may be away.
    decoder_idle_close_s: float = Field(default=900, gt=0)

    def chat(self) -> ChatConfig:
        """Return the part that the chat model reads."""
        return ChatConfig(
            base_url=self.chat_base_url,
            api_key=self.chat_api_key.get_secret_value(),
            model=self.chat_model,
            timeout_s=self.chat_timeout_s,
        )
