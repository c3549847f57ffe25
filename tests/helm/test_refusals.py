import pytest

from helm.check import CheckFailed, render, variants

DEFAULT = ("--values", str(next(path for path in variants() if path.name.startswith("default"))))

pytestmark = pytest.mark.usefixtures("helm")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("replicaCount=3", "replicaCount"),
        ("services.ingestion.replica=3", "replica"),
        ("services.perception.autoscaling.maxReplicas=0", "minimum"),
        ("services.transcription.replicas=1", "transcription"),
        ("config.ingestion.httpPort=70000", "httpPort"),
        ("config.ingestion.httpPort=http", "httpPort"),
        ("config.ingestion.max_sessions=3", "max_sessions"),
        ("config.kafka.kafkaCommitIntervalS=0", "kafkaCommitIntervalS"),
        ("config.kafka.topicPrefix=null", "topicPrefix"),
        ("config.kafka.kafkaSecurityProtocol=TLS", "kafkaSecurityProtocol"),
        ("config.kafka.kafkaPassword=secret", "kafkaPassword"),
        ("config.model.chatApiKey=secret", "chatApiKey"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("image.digest=sha256:abc", "digest"),
        ("ingress.enabled=true", "host"),
        ("podSecurityContext.runAsNonRoot=false", "runAsNonRoot"),
        ("triton.sharedMemory=plenty", "sharedMemory"),
        ("triton.encoder.resources.limit.cpu=1", "limit"),
        ("monitoring.rules.runbooks=README.md", "runbooks"),
    ],
)
def test_wrong_values_are_refused_by_name(wrong: str, told: str) -> None:
    with pytest.raises(CheckFailed, match=told):
        render(*DEFAULT, "--set", wrong)


def test_the_addresses_of_kafka_and_redis_must_be_said() -> None:
    with pytest.raises(CheckFailed, match=r"config\.kafka\.kafkaBrokers is empty"):
        render()
    with pytest.raises(CheckFailed, match=r"secrets\.redis\.redisUrl is empty"):
        render("--set", "config.kafka.kafkaBrokers=kafka:9092")


def test_brokers_that_ask_who_comes_must_be_told() -> None:
    with pytest.raises(CheckFailed, match=r"set config\.kafka\.kafkaUsername and secrets\.kafka"):
        render(*DEFAULT, "--set", "config.kafka.kafkaSecurityProtocol=SASL_SSL")


def test_leases_that_are_renewed_too_seldom_are_refused() -> None:
    with pytest.raises(CheckFailed, match=r"leaseRenewS is 6, and config\.redis\.leaseS 15"):
        render(*DEFAULT, "--set", "config.ingestion.leaseRenewS=6")
    fits = ("config.ingestion.leaseRenewS=2.5", "config.redis.leaseS=7.5")
    render(*DEFAULT, "--set-json", ",".join(fits))


def test_more_replicas_than_partitions_are_refused() -> None:
    with pytest.raises(CheckFailed, match=r"decision may have 65 replicas, and 64 partitions"):
        render(*DEFAULT, "--set", "services.decision.replicas=65")
