// The page: three steps, of which one is shown, and the words for what happens. How the service is called is
// in prelude.js.

import { PreludeClient, PreludeError } from './prelude.js';

const prelude = new PreludeClient(document.body.dataset.api || location.origin);

const byId = (id) => document.getElementById(id);
const main = document.querySelector('main');
const [address, code, account] = [byId('address'), byId('code'), byId('account')];
const [digits, resend, leave, status] = [byId('digits'), byId('resend'), byId('leave'), byId('status')];

// What the user is told of a refusal, by its code.
const REFUSED = {
  network: 'The service cannot be reached. Check your connection, and try again.',
  internal: 'The service has a problem. Try again in a moment.',
  auth_blocked: 'No code can be sent to this address. Its country is not served, or it is locked after too many '
    + 'wrong codes. Use another one, or come back tomorrow.',
  bad_check_code: 'This code is wrong or has expired. Check it, or have a new one sent.',
  unauthorized: 'You were signed out. Sign in again.',
};
const NOT_AN_ADDRESS = {
  phone_number: 'This is not a phone number. Begin with + and the country code.',
  email_address: 'This is not an e-mail address.',
};

// Refusals after which this code, and any that could be sent after it, are of no use.
const TOO_LATE = 'This has taken too long. Start again.';
const START_AGAIN = {
  rate_limited: 'There were too many wrong codes, or too many were sent. Start again.',
  token_reused: 'This code was used before. Start again.',
  invalid_verification_token: TOO_LATE,
  invalid_challenge_token: TOO_LATE,
  expired_challenge_token: TOO_LATE,
};

// Refusals that are about what the field says.
const OF_THE_FIELD = ['auth_blocked', 'bad_check_code', 'bad_request', 'invalid_identifier'];

// ---- Which step is shown

// The step of the code is an entry in the browser's history: so its back button leads to the step before,
// and a reload stays. Without a session the code is for signing in, within one it is for a scope.
function isAtCode() {
  const isForScope = Boolean(prelude.pending?.scope);
  return history.state === 'code' && prelude.pending && isForScope === Boolean(prelude.claims);
}

function show(why = '') {
  clearTimeout(countdown);
  textMessage?.abort();
  const step = isAtCode() ? code : prelude.claims ? account : address;
  for (const section of [address, code, account]) section.hidden = section !== step;
  if (step === code) showCode();
  if (step === account) showAccount();
  const heading = step.querySelector('h1');
  document.title = heading.textContent;
  status.textContent = '';
  complain(step, why);
  (step === code ? digits : heading).focus();
}

function enterCode() {
  if (history.state !== 'code') history.pushState('code', '');
  digits.value = '';
  show();
}

// Goes back to the step before the code, and says there why.
let whyLeft = '';
function leaveCode(why = '') {
  whyLeft = why;
  history.back();
}

addEventListener('popstate', () => {
  show(whyLeft);
  whyLeft = '';
});

// ---- What is said

function complain(step, why, field) {
  step.querySelector('.error').textContent = why;
  for (const input of step.querySelectorAll('[aria-invalid]')) input.removeAttribute('aria-invalid');
  field?.setAttribute('aria-invalid', 'true');
  field?.focus();
  field?.select();
}

// Does what a button or a form is for, one thing at a time. A refusal is said in words; `words` are those of
// this attempt alone.
let isBusy = false;
async function attempt(step, { doing, field, words = {} }, action) {
  if (isBusy) return;
  isBusy = true;
  main.dataset.doing = status.textContent = doing;
  complain(step, '');
  try {
    await action();
  } catch (error) {
    if (!(error instanceof PreludeError)) reportError(error);
    refused(step, error, words, field);
  } finally {
    isBusy = false;
    delete main.dataset.doing;
    if (status.textContent === doing) status.textContent = '';
  }
}

function refused(step, error, words, field) {
  const isOver = step !== address && !prelude.claims && !prelude.pending;
  if (isOver) return show(REFUSED.unauthorized);
  if (step === code && !error.wait && error.code in START_AGAIN) {
    prelude.cancel();
    return leaveCode(START_AGAIN[error.code]);
  }
  const why = error.code === 'rate_limited'
    ? `Too many codes were asked for. Try again ${error.wait ? `in ${inWords(error.wait)}` : 'later'}.`
    : words[error.code] ?? REFUSED[error.code] ?? REFUSED.internal;
  complain(step, why, OF_THE_FIELD.includes(error.code) ? field : undefined);
}

function inWords(seconds) {
  const [unit, size] = seconds < 100 ? ['second', 1] : seconds < 6000 ? ['minute', 60] : ['hour', 3600];
  const format = new Intl.NumberFormat('en', { style: 'unit', unit, unitDisplay: 'long' });
  return format.format(Math.ceil(seconds / size));
}

// ---- Step 1: where the code goes

const addressForm = address.querySelector('form');
const chosenType = () => addressForm.elements.type.value;

function showChosenType() {
  for (const choice of addressForm.querySelectorAll('[data-type]')) {
    choice.hidden = choice.dataset.type !== chosenType();
  }
  complain(address, '');
}

addressForm.addEventListener('change', (event) => {
  if (event.target.name === 'type') showChosenType();
});

addressForm.addEventListener('submit', (event) => {
  event.preventDefault();
  const type = chosenType();
  const field = byId(type === 'phone_number' ? 'phone' : 'email');
  const value = type === 'phone_number' ? plainNumber(field.value) : field.value.trim();
  const why = NOT_AN_ADDRESS[type];
  if (!/^\+\d{7,15}$|^\S+@\S+$/.test(value)) return complain(address, why, field);
  const words = { bad_request: why, invalid_identifier: why };
  attempt(address, { doing: 'Sending a code…', field, words }, async () => {
    const { pending } = prelude;
    // Who went back and comes again types the code that is on its way, since it is too early for another.
    const isOnItsWay = pending?.identifier?.value === value && Date.now() < pending.resendAt;
    if (!isOnItsWay) await prelude.sendCode({ type, value });
    enterCode();
  });
});

// A number as people write it, in the form of E.164.
function plainNumber(text) {
  return text.replace('(0)', '').replace(/[^\d+]/g, '').replace(/^00/, '+');
}

// ---- Step 2: the code

const codeForm = code.querySelector('form');
let countdown;
let textMessage;

function showCode() {
  const { identifier, scope } = prelude.pending;
  const isPhone = (identifier?.type ?? prelude.signedInBy) === 'phone_number';
  code.querySelector('h1').textContent = scope ? 'Confirm that it is you' : 'Enter the code';
  byId('message').textContent = isPhone ? 'a text message' : 'an e-mail';
  byId('recipient').textContent = identifier?.value ?? (isPhone ? 'your phone' : 'your address');
  leave.textContent = scope ? 'Cancel' : 'Change the address';
  countDown();
  if (isPhone) readTextMessage();
}

// Says on the button when another code can be sent. It stays where the focus may be, so it is not disabled.
function countDown() {
  const seconds = Math.ceil((prelude.pending.resendAt - Date.now()) / 1000);
  const isWaiting = seconds > 0;
  const left = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  resend.setAttribute('aria-disabled', isWaiting);
  resend.textContent = isWaiting ? `Send a new code in ${left}` : 'Send a new code';
  if (isWaiting) countdown = setTimeout(countDown, 1000);
}

// Where the browser can read a text message that ends with this page's host and the code, it offers to (WebOTP).
async function readTextMessage() {
  if (!('OTPCredential' in window)) return;
  textMessage = new AbortController();
  const wanted = { otp: { transport: ['sms'] }, signal: textMessage.signal };
  const found = await navigator.credentials.get(wanted).catch(() => null);
  if (found) takeDigits(found.code);
}

// A code may be pasted with whatever stands between and around its digits. One that is complete is sent at once.
function takeDigits(text) {
  const found = text.replace(/\D/g, '').slice(0, 10);
  if (digits.value !== found) digits.value = found;
  complain(code, '');
  if (found.length === Number(digits.dataset.length)) codeForm.requestSubmit();
}

digits.addEventListener('input', () => takeDigits(digits.value));

codeForm.addEventListener('submit', (event) => {
  event.preventDefault();
  if (digits.value.length < 4) return complain(code, 'Type the whole code.', digits);
  attempt(code, { doing: 'Checking the code…', field: digits }, async () => {
    const { scope } = prelude.pending;
    await prelude.checkCode(digits.value);
    show();
    if (scope) status.textContent = `Confirmed. The scope ${scope} is in your access token now.`;
  });
});

resend.addEventListener('click', () => {
  if (resend.getAttribute('aria-disabled') === 'true') return;
  attempt(code, { doing: 'Sending a new code…' }, async () => {
    try {
      await prelude.resendCode();
    } finally {
      countDown();
    }
    digits.value = '';
    digits.focus();
    status.textContent = 'A new code is on its way. Those before it no longer work.';
  });
});

leave.addEventListener('click', () => leaveCode());

// ---- Step 3: signed in

const CLAIMS = {
  sub: 'User', sid: 'Session', scope: 'Granted', iss: 'Issuer', aud: 'App', iat: 'Issued', nbf: 'Not before', exp: 'Expires',
};
const scopes = account.querySelectorAll('[data-scope]');

function showAccount() {
  const claims = Object.entries(prelude.claims).filter(([, value]) => typeof value !== 'object');
  const rows = claims.flatMap(([claim, value]) => {
    const [name, said] = [document.createElement('dt'), document.createElement('dd')];
    name.textContent = CLAIMS[claim] ? `${CLAIMS[claim]} (${claim})` : claim;
    said.textContent = inText(claim, value);
    return [name, said];
  });
  account.querySelector('dl').replaceChildren(...rows);
  for (const button of scopes) button.hidden = button.dataset.for !== prelude.signedInBy;
}

function inText(claim, value) {
  if (['iat', 'nbf', 'exp'].includes(claim)) return new Date(value * 1000).toLocaleTimeString();
  return value === '' ? 'none' : value;
}

for (const button of scopes) {
  const { scope } = button.dataset;
  button.addEventListener('click', () => attempt(account, { doing: 'Sending a code…' }, async () => {
    const { pending } = prelude;
    const isOnItsWay = pending?.scope === scope && Date.now() < pending.resendAt;
    if (isOnItsWay || await prelude.sendCodeForScope(scope)) enterCode();
    else complain(account, 'This needs a code, and you have no address that it can be sent to.');
  }));
}

const signOut = (end) => attempt(account, { doing: 'Signing out…' }, async () => {
  await end();
  show();
  status.textContent = 'You are signed out.';
});
byId('sign-out').addEventListener('click', () => signOut(() => prelude.signOut()));
byId('sign-out-everywhere').addEventListener('click', () => signOut(() => prelude.signOutEverywhere()));

// ---- The beginning, and what other tabs and devices do

async function begin() {
  if (prelude.signedInBy) status.textContent = 'One moment…';
  try {
    await prelude.restore();
    show();
  } catch (error) {
    show(REFUSED[error.code] ?? REFUSED.internal);
  }
}

prelude.onchange = begin;

document.addEventListener('visibilitychange', async () => {
  if (document.hidden || !prelude.claims) return;
  const isSignedIn = await prelude.restoreIfExpired().catch(() => true);
  if (!isSignedIn) show(REFUSED.unauthorized);
  else if (!account.hidden) showAccount();
});

byId('local').hidden = !location.pathname.startsWith('/_local/');
showChosenType();
begin();
