"""What Schemathesis is told about Passcode: codes that were sent, how answers are read, when to
wait, and which complaints are about what a contract asks for."""

import email
import itertools
import json
import os
import re
import zlib

import requests
import schemathesis

API = os.environ["PASSCODE_API"]
SERVER = {"clientId": "demo", "clientSecret": "demo-secret"}

# Requests that a schema allows and a contract refuses: the operation, and what the refusal says.
# A schema knows neither what exists nor how fields depend on each other.
REFUSED = [
    # Numbers and addresses that there are not, templates that the app has not.
    (r"otpless-", r'"errorCode":"(7102|7104|7158)"'),
    # No address, a channel without its address, two things of which one is wanted.
    (r"otpless-", r'"errorCode":"(7103|7105|7106)"'),
    (r"otpless-otp-initiate", r"not both"),
    (r"otpless-order-send", r"belongs to another address|is one of ours"),
    # What a request has come to: locked, unknown, verified, wrong, not sent, over, expired.
    (r"otpless-", r'"errorCode":"(7021|7114|7115|7118|7170|7172|7303)"'),
    # Rollout has one answer to all of that.
    (r"rollout-", r"The code is not valid, or not valid any more\."),
    # Its own document does not say what a code is made of.
    (r"post_auth_otp_", r"The code is not valid, or not valid any more\.|must be 1 to 10 letters or digits"),
]

# How each contract prints the id of a challenge, by the field that holds it.
IDS = {"requestId": "ARID_", "orderId": "Otp_", "otpChallengeId": ""}

PEOPLE = (f"{number}@example.com" for number in itertools.count())


def wait(seconds):
    """Moves the product's clock."""
    body = {"advance_seconds": seconds}
    requests.post(f"{API}/_local/clock", json=body, timeout=10).raise_for_status()


def sent():
    """A challenge that a code was sent for, a cool-down ago: its id, its address and the code."""
    person = next(PEOPLE)
    body = {"email": person, "channels": ["EMAIL"]}
    answer = requests.post(f"{API}/auth/v1/initiate/otp", json=body, headers=SERVER, timeout=10)
    answer.raise_for_status()
    wait(30)
    inbox = requests.get(f"{API}/_local/messages", {"to": person}, timeout=10)
    code = re.search(r"\b\d{6}\b", inbox.json()[0]["text"])[0]
    return answer.json()["requestId"].removeprefix("ARID_"), person, code


def number_of(case):
    """A number that depends on the case alone, so that the same case is always treated alike."""
    return zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Of the well-formed cases, half are about a challenge that exists, and of these, half have its
    code. Each asks for one of the media types that a success comes in."""
    number = number_of(case)
    responses = case.operation.definition.raw["responses"].items()
    served = [response for status, response in responses if status.startswith("2")]
    offered = sorted({media for response in served for media in response.get("content", {})})
    if len(offered) > 1 and "Accept" not in case.headers:
        case.headers["Accept"] = offered[number // 4 % len(offered)]
    fields = [part for part in (case.path_parameters, case.query, case.body) if isinstance(part, dict)]
    named = [(part, name) for part in fields for name in IDS.keys() & part.keys()]
    if not named or number % 2 or not case.meta.generation.mode.is_positive:
        return
    challenge, person, code = sent()
    for part, name in named:
        part[name] = IDS[name] + challenge
    for part in fields:
        if "otp" in part and number % 4 == 0:
            part["otp"] = code
        if "email" in part and "orderId" in part:
            part.pop("phoneNumber", None)
            part["email"] = person


@schemathesis.hook
def after_call(context, case, response):
    """Lets time pass where a limit is reached, so that what lies behind it is tested as well."""
    if response.status_code == 429:
        [seconds] = response.headers.get("retry-after", ["3600"])
        wait(int(seconds))


@schemathesis.hook
def filter_case(context, case):
    """The names of a form's fields are text of a header, so they have no control characters."""
    is_form = case.media_type == "multipart/form-data" and isinstance(case.body, dict)
    return not is_form or all(name.isprintable() for name in case.body)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a complaint counts."""
    if "positive_data_acceptance" in failure.checks and response.status_code == 400:
        name = case.operation.definition.raw.get("operationId", "")
        return not any(re.match(who, name) and re.search(what, response.text) for who, what in REFUSED)
    if "unsupported_method" in failure.checks:
        # API Gateway has routes, not resources: a method without a route is a 404.
        return (response.status_code, response.text) != (404, '{"message":"Not Found"}')
    return True


@schemathesis.deserializer("text/plain")
def read_text(context, response):
    """JSON in a plain text."""
    return json.loads(response.text)


@schemathesis.deserializer("multipart/form-data")
def read_form(context, response):
    """A form whose every part is JSON."""
    [media] = response.headers["content-type"]
    form = email.message_from_string(f"Content-Type: {media}\r\n\r\n{response.text}")
    name = lambda part: part.get_param("name", header="content-disposition")
    return {name(part): json.loads(part.get_payload()) for part in form.get_payload()}
