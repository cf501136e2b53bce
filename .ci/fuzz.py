"""What Schemathesis is told about Passcode: what there is, and the codes that were sent for it; how
answers are read, when to wait, and which complaints are about what a contract asks for."""

import atexit
import collections
import email
import itertools
import json
import os
import re
import subprocess
import zlib

import requests
import schemathesis

API = os.environ["PASSCODE_API"]
SERVER = {"clientId": "demo", "clientSecret": "demo-secret"}
BEARER = {"Authorization": f"Bearer {os.environ['PASSCODE_TOKEN']}"}

VERIFICATION_TOKEN, IDEMPOTENCY_KEY = "X-Verification-Token", "Idempotency-Key"

# The demo user. Whoever changes the PIN notes it here.
ADA = {"userId": "63fcedad5ab92b52bfbf5125", "username": "ada", "email": "ada@example.com",
       "password": "correct horse battery staple", "pin": "1793"}

# Requests that a schema allows and a contract refuses: the operation, and what the refusal says.
# A schema knows neither what exists nor how fields depend on each other.
REFUSED = [
    # Numbers and addresses that there are not, templates that the app has not.
    (r"otpless-", r'"errorCode":"(7102|7104|7158)"'),
    # A key that came with another body, or that says too little of a caller without credentials.
    (r"otpless-|zap-", r"this `?Idempotency-Key`? came with another body"),
    (r"prelude-", r'"code":"idempotency_key_reused"'),
    (r"pace-", r'"code":"idempotency-key-reused"'),
    (r"otpless-otp-initiate", r"`Idempotency-Key` must have at least 16 characters"),
    # No address, a channel without its address, two things of which one is wanted.
    (r"otpless-", r'"errorCode":"(7103|7105|7106)"'),
    (r"otpless-otp-initiate", r"not both"),
    (r"otpless-order-send", r"belongs to another address|is one of ours"),
    # What a request has come to: locked, unknown, verified, wrong, not sent, over, expired.
    (r"otpless-", r'"errorCode":"(7021|7114|7115|7118|7170|7172|7303)"'),
    # Rollout has one answer to all of that.
    (r"rollout-", r"The code is not valid, or not valid any more\."),
    # Tokens that were not made here, or whose time is over since the clock is moved on; a step's token where
    # none is wanted; wrong codes.
    (r"prelude-session-otp-create|otpCreate", r'"code":"(invalid|expired)_challenge_token"'),
    (r"prelude-session-otp-(retry|check)", r'"code":"invalid_verification_token"'),
    (r"prelude-session-otp-check", r'"code":"((invalid|expired)_challenge_token|token_mismatch|bad_check_code)"'),
    # Proofs that no key has signed, and secrets of nothing.
    (r"prelude-(login|session|stepup)-", r'"code":"(invalid|missing)_dpop_proof"'),
    (r"prelude-(login-finalize|session-refresh)", r'"code":"(invalid|expired)_challenge_token"'),
    (r"prelude-login-finalize", r"`code_verifier` is (missing|not that of)"),
    # A session that is to be named, and is not.
    (r"prelude-session-revoke-me", r"`session_id` is no session id"),
    # Templates that the app has not; numbers and addresses that there are not.
    (r"prelude-session-otp-create|otpCreate", r"`login_config_id` is not known|`identifier\.value`: not a valid"),
    # A wrong secret, and a PIN that is easily guessed.
    (r"pace-user-otp-create", r'"code":"invalid-secret"'),
    (r"pace-user-pin-update", r"a PIN has at least 3 different digits|a PIN is no series of digits"),
    # Users, numbers and addresses that there are not; no code that waits; a wrong code.
    (r"zap-otp-generate", r"`userId` is nobody with a registered address"),
    (r"zap-", r"`(email|phoneNumber|identity)` is not a valid (e-mail address|phone number)"),
    (r"zap-otp-resend", r"no OTP is open for `"),
    (r"zap-otp-verify", r"the OTP is not valid, or not valid any more"),
    # Prelude's own document lets a request have both, and does not say which one counts.
    (r"otpCreate", r"give either `identifier` or `challenge_token`"),
    # Rollout's own document does not say what a code is made of.
    (r"post_auth_otp_", r"The code is not valid, or not valid any more\.|must be 1 to 10 letters or digits"),
]

# How each contract prints the id of a challenge, by the field that holds it.
IDS = {"requestId": "ARID_", "orderId": "Otp_", "otpChallengeId": ""}

HTTP = requests.Session()

# Whether an operation that was called has ever been served.
SERVED = collections.defaultdict(bool)

NUMBERS = itertools.count()

PEOPLE = (f"{number}@example.com" for number in itertools.count())


def wait(seconds):
    """Moves the product's clock."""
    body = {"advance_seconds": seconds}
    HTTP.post(f"{API}/_local/clock", json=body, timeout=10).raise_for_status()


def unlock():
    """Lets Ada's PIN and password be tried again: too many wrong ones lock them, whatever time passes."""
    command = [os.environ["PASSCODE"], "user", "--port", API.rsplit(":", 1)[1], "unlock", "demo", ADA["userId"]]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def pass_limit(retry_after):
    """Waits until a limit is over, or unlocks what no time unlocks."""
    if retry_after is None:
        unlock()
    wait(int(retry_after or 3600))


def call(path, body, headers):
    """A request of the caller's own; where a limit is reached, it is made again when that is over."""
    response = HTTP.post(f"{API}{path}", json=body, headers=headers, timeout=10)
    if response.status_code == 429:
        pass_limit(response.headers.get("Retry-After"))
        return call(path, body, headers)
    response.raise_for_status()
    return response


def code_of(person):
    """The code that an address got last."""
    inbox = HTTP.get(f"{API}/_local/messages", {"to": person}, timeout=10)
    return re.search(r"\b\d{6}\b", inbox.json()[0]["text"])[0]


# What follows makes a case be about something that there is. A number says about what, and whether it
# has the right code as well.


def parts_of(case):
    return [part for part in (case.path_parameters, case.query, case.body) if isinstance(part, dict)]


def leave_out(case, *names):
    for name in names:
        case.body.pop(name, None)


def about_a_request(case, number):
    """OTPless and Rollout: by id, a challenge that a code was sent for."""
    fields = parts_of(case)
    named = [(part, name) for part in fields for name in IDS.keys() & part.keys()]
    if not named:
        return
    person = next(PEOPLE)
    body = {"email": person, "channels": ["EMAIL"]}
    challenge = call("/auth/v1/initiate/otp", body, SERVER).json()["requestId"].removeprefix("ARID_")
    for part, name in named:
        part[name] = IDS[name] + challenge
    for part in fields:
        if "otp" in part and number % 2 == 0:
            part["otp"] = code_of(person)
        if "email" in part and "orderId" in part:
            part.pop("phoneNumber", None)
            part["email"] = person


def to_somebody(case, number):
    """OTPless: by e-mail, with the app's own words."""
    leave_out(case, "requestId", "phoneNumber", "countryCode", "tid", "templateId")
    case.body["email"] = next(PEOPLE)
    if "channels" in case.body:
        case.body["channels"] = ["EMAIL"]
    if "orderId" in case.body:
        case.body["orderId"] = f"order-{next(NUMBERS)}"


def to_somebody_or_again(case, number):
    (to_somebody if number % 2 else about_a_request)(case, number)


def step_up():
    """The challenge token of a scope that Ada may step up to, with a code by e-mail."""
    body = {"scope": "email:change"}
    return call("/v1/session/stepup/request", body, BEARER).json()["challenge_token"]


def somebody(person):
    return {"identifier": {"type": "email_address", "value": person}}


def in_a_browser(case, person, body):
    """Prelude: the browser that a code was sent for. Returns the code."""
    case.headers[VERIFICATION_TOKEN] = call("/v1/session/otp", body, {}).headers[VERIFICATION_TOKEN]
    return code_of(person)


def of_somebody_or_a_step(case, number):
    leave_out(case, "login_config_id", "identifier", "challenge_token")
    case.body.update(somebody(next(PEOPLE)) if number % 2 else {"challenge_token": step_up()})


def with_verification_token(case, number):
    person = next(PEOPLE)
    in_a_browser(case, person, somebody(person))


def with_prelude_code(case, number):
    step = {"challenge_token": step_up()} if number % 4 == 0 else {}
    person = ADA["email"] if step else next(PEOPLE)
    code = in_a_browser(case, person, step or somebody(person))
    leave_out(case, "challenge_token")
    case.body.update(step)
    if number % 2 == 0:
        case.body["code"] = code


def proof(person):
    """The proof that somebody has an address."""
    headers = {VERIFICATION_TOKEN: call("/v1/session/otp", somebody(person), {}).headers[VERIFICATION_TOKEN]}
    return call("/v1/session/otp/check", {"code": code_of(person)}, headers).json()["challenge_token"]


def signed_in():
    """A session without a key."""
    return call("/v1/session/login/finalize", {"challenge_token": proof(next(PEOPLE))}, {})


def without_key(case):
    case.headers.pop("DPoP", None)


def with_proof(case, number):
    without_key(case)
    leave_out(case, "code_verifier")
    case.body["challenge_token"] = proof(next(PEOPLE))


def of_session(case, number):
    without_key(case)
    case.headers["X-Refresh-Token"] = signed_in().headers["X-Refresh-Token"]
    if isinstance(case.body, dict):
        leave_out(case, "step_up_token")


def of_signed_in(case, number):
    without_key(case)
    case.headers["Authorization"] = f"Bearer {signed_in().json()['access_token']}"


def with_scope(case, number):
    without_key(case)
    case.body["scope"] = "transfer" if number % 2 else "email:change"


def with_secret_of_ada(case, number):
    name = "password" if number % 2 else "pin"
    case.body[name] = ADA[name]


def pace_code():
    """A code of Ada's."""
    return call("/user/otp", {"password": ADA["password"]}, BEARER).json()["otp"]


def with_pace_code(case, number):
    code = pace_code()
    if number % 2 == 0:
        case.body["otp"] = code
        case.body["types"] = [*(case.body.get("types") or []), "account"]


def with_pin_and_code(case, number):
    attributes = case.body["data"]["attributes"]
    attributes["otp"] = pace_code()
    if number % 2 == 0:
        attributes["pin"] = "1793" if ADA["pin"] == "2806" else "2806"


def for_somebody_or_ada(case, number):
    leave_out(case, "phoneNumber", "email")
    if number % 2:
        case.body["email"] = next(PEOPLE)
    else:
        case.body["userId"] = ADA["userId"]


def generate(number):
    """ZAP: a code for somebody, or for Ada. Returns the address."""
    person = next(PEOPLE) if number % 2 else None
    body = {"userId": ADA["userId"]} if person is None else {"userId": "somebody", "email": person}
    call("/v1/otp", body, BEARER)
    return person


def once_generated(case, number):
    leave_out(case, "phoneNumber", "email", "username")
    person = generate(number)
    case.body.update({"username": ADA["username"]} if person is None else {"email": person})


def with_zap_code(case, number):
    person = generate(number // 2)
    case.body["identity"] = person or ADA["username"]
    if number % 2 == 0 or person is None:
        case.body["otp"] = code_of(person or ADA["email"])


# How a case is made to be about something that there is, by its operation.
KNOWN = {
    "otpless-auth-create": to_somebody,
    "otpless-order-send": to_somebody,
    "otpless-otp-initiate": to_somebody_or_again,
    "prelude-session-otp-create": of_somebody_or_a_step,
    "prelude-session-otp-retry": with_verification_token,
    "prelude-session-otp-check": with_prelude_code,
    "prelude-login-finalize": with_proof,
    "prelude-session-refresh": of_session,
    "prelude-session-revoke": of_session,
    "prelude-session-revoke-me": of_signed_in,
    "prelude-session-list": of_signed_in,
    "prelude-stepup-request": with_scope,
    "otpCreate": of_somebody_or_a_step,
    "pace-user-otp-create": with_secret_of_ada,
    "pace-user-otp-verify": with_pace_code,
    "pace-user-pin-update": with_pin_and_code,
    "zap-otp-generate": for_somebody_or_ada,
    "zap-otp-resend": once_generated,
    "zap-otp-verify": with_zap_code,
}


def operation_of(case):
    """Its name; an older path, or one with a slash behind, leads to the same operation."""
    name = case.operation.definition.raw.get("operationId", "")
    return name.replace("-older", "").replace("-slash", "")


def number_of(case):
    """A number that depends on the case alone, so that the same case is always treated alike."""
    token = case.headers.get(VERIFICATION_TOKEN)
    return zlib.crc32(repr((case.path_parameters, case.query, token, case.body)).encode())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Of the well-formed cases, half are about something that there is. Each asks for one of the
    media types that a success comes in, and a cool-down has passed since anything was sent."""
    # Long enough that no cool-down of those who were sent something in the last case is left.
    wait(3600)
    number = number_of(case)
    responses = case.operation.definition.raw["responses"].items()
    served = [response for status, response in responses if status.startswith("2")]
    offered = sorted({media for response in served for media in response.get("content", {})})
    if len(offered) > 1 and "Accept" not in case.headers:
        case.headers["Accept"] = offered[number // 4 % len(offered)]
    if number % 2 == 0 and case.meta.generation.mode.is_positive:
        if IDEMPOTENCY_KEY in case.headers:
            case.headers[IDEMPOTENCY_KEY] = f"{next(NUMBERS):016}"
        KNOWN.get(operation_of(case), about_a_request)(case, number // 2)
    wait(30)


@schemathesis.hook
def after_call(context, case, response):
    """Lets time pass where a limit is reached, so that what lies behind it is tested as well."""
    if response.status_code == 429:
        [retry_after] = response.headers.get("retry-after", [None])
        pass_limit(retry_after)
    SERVED[operation_of(case)] |= response.status_code < 300
    if operation_of(case) == "pace-user-pin-update" and response.status_code == 200:
        ADA["pin"] = case.body["data"]["attributes"]["pin"]


@atexit.register
def check_served():
    """Fails the run where an operation has only ever refused."""
    never = [name for name, is_served in SERVED.items() if not is_served]
    if never:
        print("never served:", *never, flush=True)
        os._exit(1)


@schemathesis.hook
def filter_case(context, case):
    """The names of a form's fields are text of a header, so they have no control characters."""
    is_form = case.media_type == "multipart/form-data" and isinstance(case.body, dict)
    return not is_form or all(name.isprintable() for name in case.body)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a complaint counts."""
    if "positive_data_acceptance" in failure.checks:
        name = case.operation.definition.raw.get("operationId", "")
        return not any(re.match(who, name) and re.search(what, response.text) for who, what in REFUSED)
    if "negative_data_rejection" in failure.checks:
        # Prelude's own document knows no null; here a field that is null is as good as absent.
        is_null = isinstance(case.body, dict) and None in case.body.values()
        return not (operation_of(case) == "otpCreate" and is_null)
    if "unsupported_method" in failure.checks:
        # API Gateway has routes, not resources: a method without a route is a 404, the gateway's own
        # or that of the route for everything else.
        unknown = ('{"message":"Not Found"}', '{"code":"not_found","type":"not_found"}')
        return (response.status_code, response.text) not in [(404, text) for text in unknown]
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
