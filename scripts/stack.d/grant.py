"""Grants user `shop` of the cluster what docs/kafka.md lists, and no more: `grant.py BROKERS FOLDER`."""

import sys
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, ResourcePatternType, ResourceType,
)

# What is published begins with this.
PREFIX = "mart."
# A topic is called as its schema.
TOPICS = sorted(path.stem for path in (Path(__file__).parent / "../../schemas/events").glob("*.avsc"))
# Each right has a name, so that a test may take it away and give it back.
RIGHTS = {
    **{f"read {topic}": (ResourceType.TOPIC, topic, "READ") for topic in TOPICS},
    **{f"write {topic}": (ResourceType.TOPIC, topic, "WRITE") for topic in TOPICS},
    **{f"create {topic}": (ResourceType.TOPIC, topic, "CREATE") for topic in TOPICS},
    **{f"describe {topic}": (ResourceType.TOPIC, topic, "DESCRIBE_CONFIGS") for topic in TOPICS},
    "group": (ResourceType.GROUP, "shop", "READ"),
    "transactions": (ResourceType.TRANSACTIONAL_ID, f"deltamart-{PREFIX}", "WRITE"),
    **{
        f"{operation.lower()} {PREFIX}": (ResourceType.TOPIC, PREFIX, operation)
        for operation in ("READ", "WRITE", "CREATE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS")
    },
}


def admin(brokers, folder):
    with open(f"{folder}/admin.password") as file:
        password = file.read().strip()
    return {
        "bootstrap.servers": brokers, "security.protocol": "SASL_SSL", "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": "admin", "sasl.password": password, "ssl.ca.location": f"{folder}/pki/ca.pem",
    }


def _parts(name):
    kind, resource, operation = RIGHTS[name]
    prefixed = resource == PREFIX
    pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
    return kind, resource, pattern, "User:shop", "*", AclOperation[operation], AclPermissionType.ALLOW


def grant(client, names):
    for done in client.create_acls([AclBinding(*_parts(name)) for name in names]).values():
        done.result(30)


def revoke(client, names):
    for done in client.delete_acls([AclBindingFilter(*_parts(name)) for name in names]).values():
        done.result(30)


if __name__ == "__main__":
    grant(AdminClient(admin(sys.argv[1], sys.argv[2])), RIGHTS)
