/** The public API: JSON with a short memory, uploads with progress, and problems as errors. */

import { encode, queryText } from './encode.js';

const BASE = new URL('v1/', document.baseURI);
const KEPT = 300;
const FRESH_MS = 60_000;

/** An error in the words of the service (RFC 9457), or in ours if the service did not answer. */
export class Problem extends Error {
  constructor({ title, detail, status = 0, type = '', request_id: requestId = null }, retryAfter = null) {
    super(detail);
    Object.assign(this, { title, detail, status, requestId, retryAfter, kind: type.split(':').pop() });
  }
}

const SILENT = {
  title: 'The service does not answer',
  detail: 'It may have been stopped, or the network is down. This page keeps what it shows; try again in a moment.',
};

/** The path of a resource below /v1; segments are encoded. */
export const path = (...segments) => new URL(segments.map(encode).join('/'), BASE).pathname;

/** A URL with more query parameters. Parameters that are null, undefined or '' are left out. */
export function withQuery(url, parameters) {
  const query = queryText(Object.entries(parameters));
  return query ? `${url}${url.includes('?') ? '&' : '?'}${query}` : url;
}

export const absolute = (url) => new URL(url, document.baseURI).href;

// -- who asks -------------------------------------------------------------------------------------------------------

const TOKEN = 'unitscope-token';

/** The token that was entered in this tab, if the service asks for one. It is forgotten when the tab closes. */
export const token = () => sessionStorage.getItem(TOKEN);

export function giveToken(text) {
  sessionStorage.setItem(TOKEN, text);
  location.reload();
}

const authorization = () => (token() === null ? {} : { Authorization: `Bearer ${token()}` });

// -- the calls that the view on screen has made, so that it can show them -------------------------------------------

let calls = [];
const watchers = new Set();

/** `body` is what is sent as JSON; null sends none, or a form with an image. `seen` is sent as If-Match. */
function record(method, url, body = null, seen = null) {
  if (!calls.some((call) => call.url === url && call.method === method)) {
    calls = [...calls, { method, url, body, seen }];
    watchers.forEach((watch) => watch(calls));
  }
}

export function forgetCalls() {
  calls = [];
  watchers.forEach((watch) => watch(calls));
}

export function watchCalls(watch) {
  watchers.add(watch);
  watch(calls);
  return () => watchers.delete(watch);
}

// -- reading --------------------------------------------------------------------------------------------------------

const memory = new Map();

async function problemOf(response) {
  const retryAfter = Number(response.headers.get('Retry-After')) || null;
  try {
    return new Problem(await response.json(), retryAfter);
  } catch {
    return new Problem({ title: 'An unexpected answer', detail: `The service answered ${response.status}.` }, retryAfter);
  }
}

async function fetched(url, options = {}) {
  const headers = { ...authorization(), ...options.headers };
  const response = await fetch(url, { ...options, headers }).catch(() => { throw new Problem(SILENT); });
  if (!response.ok) throw await problemOf(response);
  return response;
}

const ask = async (url) => (await fetched(url)).json();

/** The JSON at a URL. An answer is used again for a minute, so that going back is instant. */
export function get(url) {
  record('GET', url);
  const known = memory.get(url);
  if (known && performance.now() - known.at < FRESH_MS) return known.answer;
  const answer = ask(url);
  memory.delete(url);
  memory.set(url, { answer, at: performance.now() });
  answer.catch(() => memory.delete(url));
  if (memory.size > KEPT) memory.delete(memory.keys().next().value);
  return answer;
}

/** The JSON at a URL as it is now, for what changes while one looks. */
export function getFresh(url) {
  record('GET', url);
  return ask(url);
}

/** Send JSON; gives the answer's JSON. */
export async function postJson(url, body) {
  record('POST', url, body);
  const headers = { 'Content-Type': 'application/json' };
  return (await fetched(url, { method: 'POST', body: JSON.stringify(body), headers })).json();
}

/** Change what people wrote, seen at this revision; all that is remembered is asked for again, as names stand everywhere. */
export async function write(method, url, body, revision) {
  const seen = `"${revision}"`;
  record(method, url, body, seen);
  const headers = { 'Content-Type': 'application/json', 'If-Match': seen };
  const answer = await (await fetched(url, { method, body: JSON.stringify(body), headers })).json();
  memory.clear();
  return answer;
}

/** Ask for the end of a resource. */
export async function remove(url) {
  record('DELETE', url);
  await fetched(url, { method: 'DELETE' });
}

/** A picture as a blob: its URL in an <img> could not carry a token. */
export const getBlob = async (url) => (await fetched(url)).blob();

/** The reason why a picture could not be shown, which an <img> does not tell; null if it can be shown now. */
export const whyNot = (url) => fetched(url).then(() => null, (problem) => problem);

// -- uploading ------------------------------------------------------------------------------------------------------

/**
 * Send an image file as the part `image` of a form.
 *
 * `kind` is 'json' or 'blob'; `onProgress` gets the share sent, 0 to 1. Rejects with a Problem.
 */
export function send(url, file, { kind = 'json', onProgress = () => {}, signal = null } = {}) {
  record('POST', url);
  const form = new FormData();
  form.append('image', file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', url);
    request.responseType = 'blob';
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Problem(SILENT));
    request.onload = async () => {
      const response = new Response(request.response, { status: request.status, headers: retryHeader(request) });
      if (!response.ok) reject(await problemOf(response));
      else resolve(kind === 'blob' ? request.response : await response.json());
    };
    signal?.addEventListener('abort', () => request.abort());
    request.send(form);
  });
}

function retryHeader(request) {
  const seconds = request.getResponseHeader('Retry-After');
  return seconds ? { 'Retry-After': seconds } : {};
}
