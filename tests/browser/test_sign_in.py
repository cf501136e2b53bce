"""The sign-in page in a browser: every test has a local stack and a browser profile of its own, does what a
person does, and asserts what the person sees. `.ci/browser` runs it.

PASSCODE            the built command
CHROMIUM            the browser
PASSCODE_SCREENSHOTS  a folder for pictures of every step; without it none are made
"""

import json
import os
import random
import re
import socket
import subprocess
import unittest
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).parents[2]
PASSCODE = os.environ.get("PASSCODE", str(ROOT / "target/debug/passcode"))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
PHONE, EMAIL = "+14155550100", "ada@example.com"
EXPIRED = 601  # seconds: a code lives for 600
expect.set_options(timeout=15_000)  # where other work keeps the machine busy

playwright = browser = None


def setUpModule():
    global playwright, browser
    playwright = sync_playwright().start()
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


def tearDownModule():
    browser.close()
    playwright.stop()


class Stack:
    """`passcode local` in memory, on ports of its own."""

    def __init__(self):
        port = free_ports()
        self.api = f"http://127.0.0.1:{port}"
        command = [PASSCODE, "local", "--memory", "--port", str(port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        # It says so when it listens, and then it goes on printing, which is read until it ends.
        for line in self.process.stdout:
            if "Ctrl-C" in line:
                return
        raise AssertionError("the stack did not start")

    def stop(self):
        self.process.terminate()
        self.process.communicate()

    def set(self, setting):
        """Changes a setting of the demo app."""
        port = self.api.rsplit(":", 1)[1]
        command = [PASSCODE, "app", "--port", port, "set", "demo", setting]
        subprocess.run(command, check=True, capture_output=True)

    def messages(self, to):
        return json.load(urlopen(f"{self.api}/_local/messages?to={quote(to)}"))

    def code(self, to):
        """The code of the newest message."""
        return re.search(r"\b\d{6}\b", self.messages(to)[0]["text"])[0]

    def advance(self, seconds):
        body = json.dumps({"advance_seconds": seconds}).encode()
        urlopen(Request(f"{self.api}/_local/clock", body, {"content-type": "application/json"}))


def free_ports():
    """The first of three in a row, below those that connections are given."""
    while True:
        first = random.randrange(20000, 30000)
        try:
            taken = [socket.create_server(("127.0.0.1", first + offset)) for offset in range(3)]
        except OSError:
            continue
        for listener in taken:
            listener.close()
        return first


def taken(route, api):
    """Answers with a file of the page, as somebody has taken it who serves another API."""
    name = route.request.url.rsplit("/", 1)[1] or "index.html"
    text = (ROOT / "cli/sign-in" / name).read_text().replace('data-api=""', f'data-api="{api}"')
    kind = {"html": "text/html", "css": "text/css", "js": "text/javascript"}[name.rsplit(".", 1)[1]]
    route.fulfill(body=text, content_type=kind)


def wrong(code):
    """A code that is not this one."""
    return code[:-1] + str((int(code[-1]) + 1) % 10)


class BrowserTest(unittest.TestCase):
    def setUp(self):
        self.stack = Stack()
        self.addCleanup(self.stack.stop)
        self.errors = []
        self.context = self.new_context()
        self.page = self.open()

    def tearDown(self):
        self.assertEqual(self.errors, [], "the browser's console")

    def new_context(self, **options):
        context = browser.new_context(**options)
        context.set_default_timeout(15_000)
        self.addCleanup(context.close)
        return context

    def open(self, context=None, url=None):
        page = (context or self.context).new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self.log)
        page.goto(url or f"{self.stack.api}/_local/sign-in")
        return page

    def log(self, message):
        # A refusal of the service is written there too, and is none of the page's errors.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.errors.append(message.text)

    def ask(self, address, page=None):
        """Types an address, and has a code sent to it."""
        page = page or self.page
        kind, field = ("E-mail", "E-mail address") if "@" in address else ("Phone", "Phone number")
        page.get_by_text(kind, exact=True).click()
        page.get_by_label(field).fill(address)
        page.get_by_role("button", name="Send the code").click()

    def sign_in(self, address, page=None):
        page = page or self.page
        self.ask(address, page)
        self.sees_code_step(page)
        page.get_by_label("Code").fill(self.stack.code(address))
        self.sees_signed_in(page)

    def type_code(self, code):
        self.page.get_by_label("Code").fill(code)

    def heading(self, text, page=None):
        expect((page or self.page).get_by_role("heading", level=1)).to_have_text(text)

    def sees_address_step(self, page=None):
        self.heading("Sign in", page)

    def sees_code_step(self, page=None):
        self.heading("Enter the code", page)

    def sees_signed_in(self, page=None):
        self.heading("You are signed in", page)

    def sees(self, text, page=None):
        expect((page or self.page).get_by_text(text)).to_be_visible()

    def sees_refusal(self, text):
        """In words, and where a screen reader says them at once."""
        expect(self.page.get_by_role("alert").filter(has_text=text)).to_be_visible()

    def claim(self, name, page=None):
        """What stands beside the name of a claim."""
        term = (page or self.page).locator("dt", has_text=f"({name})")
        return term.locator("xpath=following-sibling::dd[1]")


class SigningIn(BrowserTest):
    def test_a_code_by_text_message_signs_in(self):
        self.sees_address_step()
        self.ask(PHONE)
        self.sees_code_step()
        self.sees(f"We have sent it in a text message to {PHONE}.")
        expect(self.page.get_by_label("Code")).to_be_focused()
        self.type_code(self.stack.code(PHONE))
        self.sees_signed_in()
        expect(self.page.get_by_role("heading", level=1)).to_be_focused()
        expect(self.claim("sid")).to_have_text(re.compile("^ses_"))
        expect(self.claim("scope")).to_have_text("none")

    def test_a_code_by_email_signs_in(self):
        self.ask(f"  {EMAIL} ")
        self.sees(f"We have sent it in an e-mail to {EMAIL}.")
        self.type_code(self.stack.code(EMAIL))
        self.sees_signed_in()
        expect(self.claim("aud")).to_have_text("demo")

    def test_a_number_may_be_written_as_people_write_it(self):
        self.ask("001 (415) 555-0100")
        self.sees(f"We have sent it in a text message to {PHONE}.")

    def test_a_code_may_be_pasted_with_a_space(self):
        self.ask(PHONE)
        self.sees_code_step()
        code = self.stack.code(PHONE)
        self.page.evaluate(
            """(text) => {
                const clipboardData = new DataTransfer();
                clipboardData.setData('text/plain', text);
                const paste = new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true });
                if (document.activeElement.dispatchEvent(paste)) document.execCommand('insertText', false, text);
            }""",
            f" {code[:3]} {code[3:]} ",
        )
        self.sees_signed_in()

    def test_everything_is_done_with_the_keyboard_alone(self):
        press = self.page.keyboard.press
        self.sees_address_step()
        press("Tab")
        press("ArrowRight")
        expect(self.page.get_by_role("radio", name="E-mail")).to_be_focused()
        press("Tab")
        self.page.keyboard.type(EMAIL)
        press("Enter")
        self.sees_code_step()
        self.page.keyboard.type(self.stack.code(EMAIL))
        self.sees_signed_in()
        press("Tab")
        expect(self.page.get_by_role("button", name="Allow a change of e-mail address")).to_be_focused()
        press("Tab")
        expect(self.page.get_by_role("button", name="Sign out", exact=True)).to_be_focused()
        press("Enter")
        self.sees_address_step()

    def test_what_a_script_can_read_holds_no_token(self):
        self.sign_in(PHONE)
        found = self.page.evaluate("[{ ...localStorage }, { ...sessionStorage }, document.cookie]")
        self.assertEqual(found, [{"passcode.signed-in": "phone_number"}, {}, ""])


class Refusals(BrowserTest):
    def test_a_wrong_code_is_said_to_be_and_the_right_one_still_signs_in(self):
        self.ask(PHONE)
        self.sees_code_step()
        code = self.stack.code(PHONE)
        self.type_code(wrong(code))
        self.sees_refusal("This code is wrong or has expired.")
        field = self.page.get_by_label("Code")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(field).to_be_focused()
        # The wrong digits are selected, so typing replaces them.
        self.page.keyboard.type(code)
        self.sees_signed_in()

    def test_an_expired_code_is_refused_and_a_new_one_signs_in(self):
        self.ask(PHONE)
        self.sees_code_step()
        self.page.clock.install()
        self.stack.advance(EXPIRED)
        self.page.clock.fast_forward(EXPIRED * 1000)
        self.type_code(self.stack.code(PHONE))
        self.sees_refusal("This code is wrong or has expired.")
        self.page.get_by_role("button", name="Send a new code").click()
        self.sees("A new code is on its way.")
        self.type_code(self.stack.code(PHONE))
        self.sees_signed_in()

    def test_too_many_wrong_codes_lead_back_to_the_beginning(self):
        self.ask(PHONE)
        self.sees_code_step()
        code = self.stack.code(PHONE)
        for _ in range(5):
            self.type_code("")
            self.type_code(wrong(code))
            self.sees_refusal("This code is wrong or has expired.")
        self.type_code("")
        self.type_code(code)
        self.sees_address_step()
        self.sees_refusal("There were too many wrong codes")
        # After that many there is a pause, and the page says how long.
        self.page.get_by_role("button", name="Send the code").click()
        self.sees_refusal("Too many codes were asked for. Try again in 30 seconds.")
        self.stack.advance(31)
        self.page.get_by_role("button", name="Send the code").click()
        self.sees_code_step()
        self.type_code(self.stack.code(PHONE))
        self.sees_signed_in()

    def test_a_locked_address_gets_no_code(self):
        self.stack.set("policy.max_failures=5")
        self.ask(PHONE)
        self.sees_code_step()
        code = self.stack.code(PHONE)
        for _ in range(5):
            self.type_code("")
            self.type_code(wrong(code))
            self.sees_refusal("This code is wrong or has expired.")
        self.stack.advance(3601)
        self.page.get_by_role("button", name="Change the address").click()
        self.ask("+1 415 555 0101")
        self.sees_code_step()
        self.page.go_back()
        self.ask(PHONE)
        self.sees_refusal("it is locked after too many wrong codes")
        self.assertEqual(len(self.stack.messages(PHONE)), 1)

    def test_a_new_code_waits_for_the_cool_down(self):
        self.page.clock.install()
        self.page.reload()
        self.ask(PHONE)
        self.sees_code_step()
        first = self.stack.code(PHONE)
        resend = self.page.get_by_role("button", name="Send a new code")
        expect(resend).to_have_text("Send a new code in 0:30")
        self.page.clock.fast_forward(10_000)
        expect(resend).to_have_text("Send a new code in 0:20")
        resend.click(force=True)
        self.assertEqual(len(self.stack.messages(PHONE)), 1, "it is too early")
        # This browser's clock is ahead of the service's, which says how long there is to wait.
        self.page.clock.fast_forward(21_000)
        expect(resend).to_have_text("Send a new code")
        resend.click()
        self.sees_refusal(re.compile(r"Try again in (29|30) seconds\."))
        expect(resend).to_have_text(re.compile("Send a new code in 0:(29|30)"))
        self.page.clock.fast_forward(31_000)
        self.stack.advance(31)
        resend.click()
        self.sees("A new code is on its way.")
        # The second pause is twice as long.
        expect(resend).to_have_text(re.compile("Send a new code in (1:00|0:59)"))
        second = self.stack.code(PHONE)
        self.assertNotEqual(first, second)
        self.type_code(first)
        self.sees_refusal("This code is wrong or has expired.")
        self.type_code(second)
        self.sees_signed_in()

    def test_a_number_of_a_country_that_is_not_served_gets_no_code(self):
        self.ask("+4915112345678")
        self.sees_refusal("Its country is not served")
        expect(self.page.get_by_label("Phone number")).to_have_attribute("aria-invalid", "true")

    def test_what_is_no_address_is_said_to_be_none(self):
        for address, text in [
            ("0170 1234567", "Begin with + and the country code."),
            ("+9991234567", "This is not a phone number."),
            ("", "This is not a phone number."),
            ("ada@", "This is not an e-mail address."),
            ("ada@example", "This is not an e-mail address."),
        ]:
            with self.subTest(address):
                if not address or address[0] in "+0":
                    self.page.get_by_text("Phone", exact=True).click()
                    self.page.get_by_label("Phone number").fill(address)
                    self.page.get_by_role("button", name="Send the code").click()
                else:
                    self.ask(address)
                self.sees_refusal(text)

    def test_without_a_network_it_says_so_and_goes_on_later(self):
        self.context.set_offline(True)
        self.ask(PHONE)
        self.sees_refusal("The service cannot be reached.")
        self.context.set_offline(False)
        self.page.get_by_role("button", name="Send the code").click()
        self.sees_code_step()

    def test_a_network_that_fails_after_the_code_was_checked_costs_no_code(self):
        self.page.route("**/login/finalize", lambda route: route.abort(), times=1)
        self.ask(PHONE)
        self.sees_code_step()
        self.type_code(self.stack.code(PHONE))
        self.sees_refusal("The service cannot be reached.")
        self.page.get_by_role("button", name="Continue").click()
        self.sees_signed_in()


class TheBrowsersOwnButtons(BrowserTest):
    def test_back_leads_to_the_address_and_the_code_that_was_sent_still_signs_in(self):
        self.ask(PHONE)
        self.sees_code_step()
        self.page.go_back()
        self.sees_address_step()
        expect(self.page.get_by_label("Phone number")).to_have_value(PHONE)
        self.page.get_by_role("button", name="Send the code").click()
        self.sees_code_step()
        self.assertEqual(len(self.stack.messages(PHONE)), 1, "it is too early for another one")
        self.page.get_by_role("button", name="Change the address").click()
        self.sees_address_step()
        self.ask(EMAIL)
        self.sees(f"We have sent it in an e-mail to {EMAIL}.")
        self.type_code(self.stack.code(EMAIL))
        self.sees_signed_in()

    def test_a_reload_stays_at_the_code(self):
        self.ask(PHONE)
        self.sees_code_step()
        self.page.reload()
        self.sees(f"We have sent it in a text message to {PHONE}.")
        expect(self.page.get_by_role("button", name="Send a new code in 0:")).to_be_visible()
        self.type_code(self.stack.code(PHONE))
        self.sees_signed_in()

    def test_a_reload_stays_signed_in_also_after_the_access_token_has_ended(self):
        self.sign_in(PHONE)
        session = self.claim("sid").text_content()
        self.stack.advance(120)
        self.page.reload()
        self.sees_signed_in()
        expect(self.claim("sid")).to_have_text(session)


class Sessions(BrowserTest):
    def test_signing_in_and_out_shows_in_the_other_tab(self):
        other = self.open()
        self.sees_address_step(other)
        self.sign_in(PHONE)
        self.sees_signed_in(other)
        expect(self.claim("sid", other)).to_have_text(self.claim("sid").text_content())
        other.get_by_role("button", name="Sign out", exact=True).click()
        self.sees_address_step(other)
        self.sees_address_step()

    def test_who_signs_out_is_signed_out_after_a_reload(self):
        self.sign_in(PHONE)
        self.page.get_by_role("button", name="Sign out", exact=True).click()
        self.sees("You are signed out.")
        self.page.reload()
        self.sees_address_step()
        self.assertEqual([c["name"] for c in self.context.cookies() if "refresh" in c["name"]], [])

    def test_signing_out_on_every_device_ends_the_session_of_another_browser(self):
        elsewhere = self.open(self.new_context())
        elsewhere.clock.install()
        self.sign_in(PHONE, elsewhere)
        self.sign_in(PHONE)
        self.page.get_by_role("button", name="Sign out on every device").click()
        self.sees_address_step()
        # It is noticed there when somebody looks at the page after the access token has ended.
        elsewhere.clock.fast_forward(61_000)
        elsewhere.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        self.sees("You were signed out. Sign in again.", elsewhere)
        self.sees_address_step(elsewhere)

    def test_a_session_that_is_lost_is_said_to_be_over(self):
        self.sign_in(PHONE)
        self.context.clear_cookies()
        self.stack.advance(120)
        self.page.get_by_role("button", name="Allow a transfer").click()
        self.sees_refusal("You were signed out. Sign in again.")
        self.sees_address_step()

    def test_a_page_of_another_origin_signs_in_and_stays_signed_in(self):
        # The demo app lists http://localhost:3000. Another port is the same site, another host is not.
        self.stack.set("browser.cross_site_cookie=true")
        for api in [self.stack.api.replace("127.0.0.1", "localhost"), self.stack.api]:
            with self.subTest(api):
                # A page that is made up has no address, so what it calls on this machine needs leave.
                context = self.new_context(permissions=["local-network-access"])
                context.route("http://localhost:3000/*", lambda route, _, api=api: taken(route, api))
                page = self.open(context, "http://localhost:3000/")
                self.sign_in(PHONE, page)
                page.reload()
                self.sees_signed_in(page)
                page.get_by_role("button", name="Sign out", exact=True).click()
                self.sees_address_step(page)

    def test_another_code_by_text_message_adds_a_scope(self):
        self.sign_in(PHONE)
        self.page.get_by_role("button", name="Allow a transfer").click()
        self.heading("Confirm that it is you")
        self.sees("We have sent it in a text message to your phone.")
        self.type_code(wrong(self.stack.code(PHONE)))
        self.sees_refusal("This code is wrong or has expired.")
        self.type_code(self.stack.code(PHONE))
        self.sees_signed_in()
        expect(self.claim("scope")).to_have_text("transfer")
        self.sees("The scope transfer is in your access token now.")

    def test_another_code_by_email_adds_a_scope(self):
        self.sign_in(EMAIL)
        # The access token has ended by now, so the page gets another one first.
        self.stack.advance(120)
        self.page.get_by_role("button", name="Allow a change of e-mail address").click()
        self.heading("Confirm that it is you")
        self.page.reload()
        self.heading("Confirm that it is you")
        self.type_code(self.stack.code(EMAIL))
        self.sees_signed_in()
        expect(self.claim("scope")).to_have_text("email:change")

    def test_a_step_up_can_be_cancelled(self):
        self.sign_in(PHONE)
        self.page.get_by_role("button", name="Allow a transfer").click()
        self.heading("Confirm that it is you")
        self.page.get_by_role("button", name="Cancel").click()
        self.sees_signed_in()
        expect(self.claim("scope")).to_have_text("none")


class Looks(BrowserTest):
    def test_without_scripts_it_says_that_it_needs_them(self):
        page = self.open(self.new_context(java_script_enabled=False))
        # Playwright finds no text in <noscript>, so the element itself is asked.
        expect(page.locator("noscript")).to_be_visible()
        self.assertIn("This page needs JavaScript.", page.locator("noscript").inner_text())

    def test_the_page_and_the_inbox_lead_to_each_other(self):
        with self.context.expect_page() as opened:
            self.page.get_by_role("link", name="Open the inbox").click()
        self.heading("Inbox", opened.value)
        opened.value.get_by_role("link", name="Sign-in page").click()
        self.sees_address_step(opened.value)

    def test_every_step_fits_a_narrow_phone(self):
        self.page.set_viewport_size({"width": 320, "height": 640})
        for step in self.steps(self.page):
            with self.subTest(step):
                wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
                self.assertFalse(self.page.evaluate(wide))

    @unittest.skipUnless(os.environ.get("PASSCODE_SCREENSHOTS"), "PASSCODE_SCREENSHOTS names no folder")
    def test_pictures(self):
        folder = Path(os.environ["PASSCODE_SCREENSHOTS"])
        for width, height in [(390, 844), (1280, 800)]:
            for scheme in ["light", "dark"]:
                viewport = {"width": width, "height": height}
                page = self.open(self.new_context(viewport=viewport, color_scheme=scheme))
                for step in self.steps(page):
                    page.screenshot(path=folder / f"{step}-{width}x{height}-{scheme}.png")

    def steps(self, page):
        """Goes through every step, and stops at each."""
        self.sees_address_step(page)
        yield "1-address"
        self.ask("+4915112345678", page)
        expect(page.get_by_role("alert").filter(has_text="country")).to_be_visible()
        yield "2-address-refused"
        self.ask(PHONE, page)
        self.sees_code_step(page)
        yield "3-code"
        page.get_by_label("Code").fill(wrong(self.stack.code(PHONE)))
        expect(page.get_by_role("alert").filter(has_text="wrong")).to_be_visible()
        yield "4-code-refused"
        page.get_by_label("Code").fill(self.stack.code(PHONE))
        self.sees_signed_in(page)
        yield "5-signed-in"
        page.get_by_role("button", name="Allow a transfer").click()
        self.heading("Confirm that it is you", page)
        yield "6-step-up"
        page.get_by_label("Code").fill(self.stack.code(PHONE))
        self.sees_signed_in(page)
        yield "7-scope"


if __name__ == "__main__":
    unittest.main()
