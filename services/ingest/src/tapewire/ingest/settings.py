"""What ingest is told from outside."""

from pydantic import Field

from tapewire.service import ServiceSettings


class IngestSettings(ServiceSettings):
    """Settings of ingest; `TAPEWIRE_INGEST_WINDOW` and so on."""

    http_port: int = Field(default=8082, ge=0, le=65535)
    ingest_window: int = Field(default=256, ge=1, le=2000)
    """Confirms in flight; with a broker that takes 5 ms for one, 256 make 50,000 a second."""
    ingest_confirm_deadline_s: float = Field(default=5.0, gt=0)
    """After it an event counts as not taken: AMQP deliveries come again, HTTP answers 503."""
    ingest_remember_ids: int = Field(default=100_000, ge=0)
    """Ids remembered so that a repeated one is taken once; about 250 bytes each."""
    ingest_remember_s: float = Field(default=600.0, gt=0)
    """How long an id is remembered."""
    ingest_body_limit: int = Field(default=8 * 1024 * 1024, ge=65_536)
    """Bytes of an HTTP body: 1000 events of 8 KB."""
