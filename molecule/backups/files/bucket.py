"""A bucket as docs/backups.md describes it, the keys to it, and what somebody with a host's key would try.

bucket.py make BUCKET HOST...       versioning, one key for each host that can add, and one that may do everything, in /root/keeper.json
bucket.py list BUCKET HOST          every version of every object of a host, but its locks
bucket.py attack BUCKET HOST KEY SECRET
bucket.py undo BUCKET HOST          as the keeper: takes away what was written over an object
"""

import json
import os
import pathlib
import sys
import urllib.request

import boto3
import botocore.exceptions

STORE = "http://127.0.0.1:5000"
KEEPER = pathlib.Path("/root/keeper.json")


def client(what, key="testing", secret="testing"):
    return boto3.client(what, endpoint_url=STORE, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret)


def policy(bucket, host):
    def arn(path=""):
        # A bucket that does not exist may be asked for, so that the answer is that it does not.
        return [f"arn:aws:s3:::{name}{path}" for name in (bucket, "no-such-bucket")]

    # HeadBucket is what the emulator calls a right that the vendor has in ListBucket; restic 0.14 asks that way.
    allowed = [
        (["s3:ListBucket", "s3:HeadBucket", "s3:GetBucketLocation"], arn()), (["s3:PutObject", "s3:GetObject"], arn(f"/{host}/*")),
        (["s3:DeleteObject"], arn(f"/{host}/locks/*")),
    ]  # fmt: skip
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in allowed]}


def make(bucket, *hosts):
    s3, iam = client("s3"), client("iam")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    keys = {}
    for user, document in [*((host, policy(bucket, host)) for host in hosts), ("keeper", everything)]:
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="backups", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        keys[user] = [key["AccessKeyId"], key["SecretAccessKey"]]
    KEEPER.touch(mode=0o600)
    KEEPER.write_text(json.dumps(keys.pop("keeper")))
    # From here on every request is judged by its signature and its user's policy.
    request = urllib.request.Request(f"{STORE}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}, method="POST")
    urllib.request.urlopen(request).close()
    print(json.dumps(keys))


def versions(bucket, host):
    """(name, version, size, checksum) of every object, markers of deletion among them."""
    pages = client("s3", *json.loads(KEEPER.read_text())).get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=f"{host}/")
    for page in pages:
        for entry in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            if not entry["Key"].startswith(f"{host}/locks/"):
                yield entry["Key"], entry["VersionId"], entry.get("Size", 0), entry.get("ETag", "deleted")


def attack(bucket, host, key, secret):
    """What each attempt was answered."""
    packs = [entry for entry in versions(bucket, host) if entry[0].startswith(f"{host}/data/")]
    name, version = packs[0][:2]
    s3, said = client("s3", key, secret), {}
    attempts = {
        "delete": lambda: s3.delete_object(Bucket=bucket, Key=name),
        "delete a version": lambda: s3.delete_object(Bucket=bucket, Key=name, VersionId=version),
        "delete the configuration": lambda: s3.delete_object(Bucket=bucket, Key=f"{host}/config"),
        "another host's": lambda: s3.put_object(Bucket=bucket, Key="other/data/00/00", Body=b"x"),
        "no more versions": lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}),
        "another policy": lambda: s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy(bucket, host))),
        "delete the bucket": lambda: s3.delete_bucket(Bucket=bucket),
        # Allowed, and the reason for the versions.
        "overwrite": lambda: [s3.put_object(Bucket=bucket, Key=each, Body=os.urandom(size)) for each, _version, size, _tag in packs],
    }
    for what, attempt in attempts.items():
        try:
            attempt()
            said[what] = "done"
        except botocore.exceptions.ClientError as error:
            said[what] = error.response["Error"]["Code"]
    print(json.dumps(said))


def undo(bucket, host):
    s3, oldest = client("s3", *json.loads(KEEPER.read_text())), {}
    for name, version, _size, _tag in versions(bucket, host):
        oldest.setdefault(name, []).append(version)
    for name, known in oldest.items():
        # The newest come first.
        for version in known[:-1]:
            s3.delete_object(Bucket=bucket, Key=name, VersionId=version)


def show(bucket, host):
    print("\n".join(sorted(f"{tag} {name} {version}" for name, version, _size, tag in versions(bucket, host))))


{"make": make, "list": show, "attack": attack, "undo": undo}[sys.argv[1]](*sys.argv[2:])
