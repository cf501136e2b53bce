"""What the functions are measured beside: one-time codes in their shortest form, with boto3 and without a guard.

A send stores the hash of a code and publishes the code; a verify reads the hash, compares it and removes it, on
the condition that nobody else has. No limit, no attempt counter, no idempotency, no log. Between it and the
Runtime API stands nothing but `http.client`.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import secrets
import time

import boto3

dynamodb = boto3.client("dynamodb")
sns = boto3.client("sns")
TABLE = os.environ["PEER_TABLE"]


def digest(challenge, code):
    return hashlib.sha256(f"{challenge}:{code}".encode()).hexdigest()


def send(request):
    challenge, code = secrets.token_hex(16), f"{secrets.randbelow(1_000_000):06}"
    dynamodb.put_item(
        TableName=TABLE,
        Item={
            "id": {"S": challenge},
            "hash": {"S": digest(challenge, code)},
            "expires_at": {"N": str(int(time.time()) + 300)},
        },
    )
    sns.publish(PhoneNumber=request["phoneNumber"], Message=f"Demo: {code}")
    return 200, {"requestId": challenge}


def verify(request):
    challenge, key = request["requestId"], {"id": {"S": request["requestId"]}}
    stored = dynamodb.get_item(TableName=TABLE, Key=key, ConsistentRead=True).get("Item")
    if not stored or int(stored["expires_at"]["N"]) < time.time():
        return 400, {"message": "expired"}
    presented = digest(challenge, request["otp"])
    if not hmac.compare_digest(stored.get("hash", {}).get("S", ""), presented):
        return 400, {"message": "incorrect"}
    try:
        dynamodb.update_item(
            TableName=TABLE,
            Key=key,
            UpdateExpression="REMOVE #hash",
            ConditionExpression="#hash = :hash",
            ExpressionAttributeNames={"#hash": "hash"},
            ExpressionAttributeValues={":hash": {"S": presented}},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return 400, {"message": "used"}
    return 200, {"requestId": challenge}


def handle(event):
    body = event["body"]
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body)
    request = json.loads(body)
    status, answer = verify(request) if "otp" in request else send(request)
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(answer)}


def main():
    api, root = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"]), "/2018-06-01/runtime/invocation"
    while True:
        api.request("GET", f"{root}/next")
        response = api.getresponse()
        event = json.loads(response.read())
        request_id = response.getheader("lambda-runtime-aws-request-id")
        api.request("POST", f"{root}/{request_id}/response", json.dumps(handle(event)))
        api.getresponse().read()


main()
