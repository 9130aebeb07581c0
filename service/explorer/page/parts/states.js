/** The content of a view that is loading, that has nothing to show, or that failed. */

import { giveToken } from '../lib/api.js';
import { html } from './html.js';

export const Loading = ({ what = 'Loading' }) => html`<div class="state" role="status">
  <span class="spinner" aria-hidden="true"></span><p>${what} …</p></div>`;

export const Empty = ({ title, children }) => html`<div class="state">
  <span class="state-mark" aria-hidden="true">∅</span><h2>${title}</h2><div class="state-text">${children}</div></div>`;

const HELP = {
  'not-authenticated': 'Ask the people who run the service for a token. It stays in this tab and is forgotten when the tab closes.',
  'not-allowed': 'To look up an image of your own, you need a token with the role “upload”; to run jobs, one with “run”; to write notes, one with “write”.',
  'only-from-here': 'The people who run the service can give you a token that may run jobs.',
  'host-unknown': 'The people who run the service can let it know the name in the address bar, with --hosts.',
  'notes-unavailable': 'The people who run the service can say where notes lie, with --notes.',
  'revision-replaced': 'Your text is still here. Look at what is there now, then save again.',
  'result-gone': 'The index has changed since.',
  'not-found': 'The link may belong to another index, or the index may have changed since.',
  busy: 'The service is working for others. It is usually free again within seconds.',
  'model-unavailable': 'The people who run the service can tell it where the network is, with --weights and --model, or where its encoder of texts is, with --encoder.',
  'index-unavailable': 'The people who run the service find the reason in its log.',
};

function TokenForm() {
  const give = (event) => {
    event.preventDefault();
    giveToken(new FormData(event.target).get('token').trim());
  };
  return html`<form class="finder" onSubmit=${give}><label class="choice"><span>Token</span>
    <input name="token" type="password" required autocomplete="off" /></label><button class="button">Go on</button></form>`;
}

/** A problem in words, advice, and a way to go on. */
export function Failure({ error, retry = null, children = null }) {
  return html`<div class="state" role="alert">
    <span class="state-mark" aria-hidden="true">!</span>
    <h2>${error.title}</h2>
    <div class="state-text">
      <p>${sentence(error.detail)}</p>
      ${HELP[error.kind] && html`<p class="quiet">${HELP[error.kind]}</p>`}
      ${error.requestId && html`<p class="quiet">Request <code>${error.requestId}</code></p>`}
      ${children}
    </div>
    ${error.status === 401 && html`<${TokenForm} />`}
    ${retry && error.status !== 401 && html`<button class="button" onClick=${retry}>Try again</button>`}
  </div>`;
}

function sentence(text) {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

/** The foot of a list: how many items are shown, and a button for more. */
export function More({ list, shown, what, onMore }) {
  if (list.error) return html`<${Failure} error=${list.error} retry=${list.retry} />`;
  const of = list.total === null ? '' : ` of ${list.total.toLocaleString('en')}`;
  return html`<div class="more">
    <p class="quiet" aria-live="polite">${shown.toLocaleString('en')}${of} ${what}</p>
    ${!list.complete && html`<button class="button" onClick=${onMore} aria-busy=${list.loading}>
      ${list.loading ? 'Loading …' : 'Show more'}</button>`}
  </div>`;
}
