// A client of the Prelude contract for one page: codes, sessions and step-ups, without dependencies. What it
// keeps, and where:
//
//   access token             memory            It lives for about a minute; whoever has it is the user.
//   refresh token            HttpOnly cookie   The server sets it and reads it. No script does.
//   key of the DPoP proofs   IndexedDB         Not extractable: a script can sign with it and not copy it.
//   code that is waited for  sessionStorage    It outlives a reload, and is this tab's alone.
//   that one is signed in    localStorage      So a new tab knows whether to ask for an access token.

const PENDING = 'passcode.pending';
const SIGNED_IN = 'passcode.signed-in';

// The name of the lock that the tabs share.
const LOCK = 'passcode.session';

// The default of the app's policy.cool_down_seconds; each further pause is twice as long. Where the app has
// other values, the Retry-After of a refusal corrects it.
const COOL_DOWN_SECONDS = 30;

const TIMEOUT_MILLISECONDS = 15_000;

// What says that there is no session, or none that this browser's key opens.
const OVER = ['unauthorized', 'missing_dpop_proof', 'invalid_dpop_proof', 'dpop_key_mismatch'];

// A refusal: `code` is the contract's, or `network` where no answer came. `wait` is in seconds, if it is known.
export class PreludeError extends Error {
  constructor(code, status, wait) {
    super(code);
    Object.assign(this, { code, status, wait });
  }
}

export class PreludeClient {
  // Is called when another tab has signed in or out. The page then calls `restore`.
  onchange = () => {};

  #origin;
  #accessToken = null;
  #expiresAt = 0;
  #proof = null;
  #nonce;
  // How far the server's clock is ahead of this one, in milliseconds.
  #skew = 0;

  constructor(origin) {
    this.#origin = origin;
    // Not a BroadcastChannel: its message may come before what the other tab has stored can be read here.
    addEventListener('storage', ({ key }) => {
      if (key !== SIGNED_IN) return;
      this.cancel();
      this.onchange();
    });
  }

  // The claims of the access token, or null. They are for showing; only the server verifies a token.
  get claims() {
    return this.#accessToken && claims(this.#accessToken);
  }

  // The type of the identifier that was signed in with.
  get signedInBy() {
    return localStorage.getItem(SIGNED_IN);
  }

  // The code that is waited for, or null: `identifier` or `scope` is what it is for, and from `resendAt` on
  // (milliseconds since the epoch) another one can be asked for.
  get pending() {
    return JSON.parse(sessionStorage.getItem(PENDING));
  }

  set #pending(pending) {
    if (pending) sessionStorage.setItem(PENDING, JSON.stringify(pending));
    else sessionStorage.removeItem(PENDING);
  }

  // Waits for no code any more.
  cancel() {
    this.#pending = this.#proof = null;
  }

  // Sends a code to `{ type: 'phone_number' | 'email_address', value }`. The challenge of PKCE goes with it,
  // and the verifier with `login/finalize`: so nobody else can finish what this tab has begun.
  async sendCode(identifier) {
    const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
    const code_challenge = base64url(await crypto.subtle.digest('SHA-256', utf8(verifier)));
    await this.#begin({ identifier, code_challenge }, { identifier, verifier });
  }

  // Sends a code for a scope. False where the user has no address that its code could go to.
  async sendCodeForScope(scope) {
    const answer = await this.#postAsUser('stepup/request', { scope });
    const { status, challenge_token } = await answer.json();
    if (status === 'block') return false;
    await this.#begin({ challenge_token }, { scope, challengeToken: challenge_token });
    return true;
  }

  async #begin(body, pending) {
    const answer = await this.#post('otp', { body });
    this.cancel();
    const token = answer.headers.get('X-Verification-Token');
    this.#pending = { ...pending, token, sends: 1, resendAt: Date.now() + pauseAfter(1) };
  }

  // Sends another code. It ends the one before.
  async resendCode() {
    const pending = this.pending;
    try {
      await this.#post('otp/retry', { verificationToken: pending.token });
      const sends = pending.sends + 1;
      this.#pending = { ...pending, sends, resendAt: Date.now() + pauseAfter(sends) };
    } catch (error) {
      if (error.wait) this.#pending = { ...pending, resendAt: Date.now() + error.wait * 1000 };
      throw error;
    }
  }

  // Checks the code, and signs in with it, or has the scope added to the access token. A right code is used
  // up. If what follows it fails, the next call goes on with its proof and does not look at the code.
  async checkCode(code) {
    const { token, challengeToken, ...pending } = this.pending;
    if (!this.#proof) {
      const body = { code, challenge_token: challengeToken };
      // A proof of DPoP that is about a challenge token has the token's own id.
      const proof = challengeToken && { jti: claims(challengeToken).jti };
      const answer = await this.#post('otp/check', { body, verificationToken: token, proof });
      this.#proof = (await answer.json()).challenge_token;
    }
    if (challengeToken) await this.#refresh(this.#proof);
    else await this.#finalize(this.#proof, pending);
    this.cancel();
  }

  async #finalize(challenge_token, { identifier, verifier }) {
    const body = { challenge_token, code_verifier: verifier };
    await this.#oneAtATime(async () => {
      await this.#take(await this.#postSigned('login/finalize', body));
      localStorage.setItem(SIGNED_IN, identifier.type);
    });
  }

  // Gets an access token, if somebody is signed in; whether somebody is.
  async restore() {
    if (this.signedInBy) {
      await this.#refresh().catch((error) => {
        if (!OVER.includes(error.code)) throw error;
      });
    } else {
      this.#accessToken = null;
    }
    return this.#accessToken !== null;
  }

  // The page may call it when it is looked at again: somebody may have signed this browser out elsewhere.
  async restoreIfExpired() {
    return this.#isExpired() ? this.restore() : true;
  }

  async #refresh(step_up_token) {
    await this.#oneAtATime(async () => {
      if (!this.signedInBy) throw new PreludeError('unauthorized', 401);
      try {
        await this.#take(await this.#postSigned('refresh', { step_up_token }));
      } catch (error) {
        if (OVER.includes(error.code)) await this.#forget();
        throw error;
      }
    });
  }

  // Ends this session.
  async signOut() {
    await this.#oneAtATime(async () => {
      try {
        await this.#postSigned('revoke', {});
      } catch (error) {
        if (!OVER.includes(error.code)) throw error;
      }
      await this.#forget();
    });
  }

  // Ends every session of the user.
  async signOutEverywhere() {
    await this.#postAsUser('me/revoke?target=all', {});
    await this.#oneAtATime(() => this.#forget());
  }

  async #forget() {
    this.cancel();
    this.#accessToken = null;
    localStorage.removeItem(SIGNED_IN);
    await deleteKey();
  }

  // A refresh token is good for one refresh, and all tabs have the same one.
  async #oneAtATime(action) {
    return navigator.locks.request(LOCK, action);
  }

  async #take(answer) {
    const { access_token, expires_at } = await answer.json();
    this.#accessToken = access_token;
    this.#expiresAt = expires_at * 1000;
  }

  #isExpired() {
    return this.#now() >= this.#expiresAt;
  }

  #now() {
    return Date.now() + this.#skew;
  }

  async #postAsUser(path, body) {
    if (this.#isExpired()) await this.#refresh();
    const post = () => this.#post(path, { body, bearer: this.#accessToken });
    try {
      return await post();
    } catch (error) {
      if (error.status !== 401) throw error;
      await this.#refresh();
      return post();
    }
  }

  // With a proof of DPoP. A server may ask for its nonce in it, or for the time by its own clock: both come
  // with its answer, so the second try has them.
  async #postSigned(path, body) {
    const post = () => this.#post(path, { body, proof: { jti: crypto.randomUUID(), nonce: this.#nonce } });
    try {
      return await post();
    } catch (error) {
      if (!['use_dpop_nonce', 'invalid_dpop_proof'].includes(error.code)) throw error;
      return post();
    }
  }

  async #post(path, { body = {}, verificationToken, bearer, proof }) {
    const url = `${this.#origin}/v1/session/${path}`;
    const headers = { 'Content-Type': 'application/json' };
    if (verificationToken) headers['X-Verification-Token'] = verificationToken;
    if (bearer) headers.Authorization = `Bearer ${bearer}`;
    if (proof) headers.DPoP = await this.#sign(url, proof);
    const answer = await fetch(url, {
      method: 'POST',
      credentials: 'include',
      headers,
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MILLISECONDS),
    }).catch(() => { throw new PreludeError('network'); });
    const date = Date.parse(answer.headers.get('Date'));
    if (date) this.#skew = date - Date.now();
    this.#nonce = answer.headers.get('DPoP-Nonce') ?? this.#nonce;
    if (answer.ok) return answer;
    const { code = 'internal' } = await answer.json().catch(() => ({}));
    throw new PreludeError(code, answer.status, Number(answer.headers.get('Retry-After')));
  }

  // A proof of DPoP (RFC 9449): that this request comes from the browser that holds the session's key.
  async #sign(url, proof) {
    const { privateKey, publicKey } = await key();
    const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', publicKey);
    const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } };
    const [htu] = url.split('?');
    const payload = { ...proof, htm: 'POST', htu, iat: Math.floor(this.#now() / 1000) };
    const text = [header, payload].map((part) => base64url(utf8(JSON.stringify(part)))).join('.');
    const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
    return `${text}.${base64url(await crypto.subtle.sign(algorithm, privateKey, utf8(text)))}`;
  }
}

function pauseAfter(sends) {
  return COOL_DOWN_SECONDS * 1000 * 2 ** (sends - 1);
}

// The browser's key: made when it is first needed, deleted when the user signs out.
async function key() {
  const stored = await done((await keys()).get('dpop'));
  if (stored) return stored;
  const made = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  await done((await keys()).put(made, 'dpop'));
  return made;
}

async function deleteKey() {
  await done((await keys()).delete('dpop'));
}

let database;

async function keys() {
  const request = indexedDB.open('passcode', 1);
  request.onupgradeneeded = () => request.result.createObjectStore('keys');
  database ??= done(request);
  return (await database).transaction('keys', 'readwrite').objectStore('keys');
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

// What a JWT says.
function claims(token) {
  const [, payload] = token.split('.');
  const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

function utf8(text) {
  return new TextEncoder().encode(text);
}

function base64url(bytes) {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
