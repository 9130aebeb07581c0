/** What a view shows while it waits, when there is nothing, and when something went wrong. */

import { giveToken } from '../lib/api.js';
import { html } from './html.js';

export const Loading = ({ what = 'Loading' }) => html`<div class="state" role="status">
  <span class="spinner" aria-hidden="true"></span><p>${what} …</p></div>`;

export const Empty = ({ title, children }) => html`<div class="state">
  <span class="state-mark" aria-hidden="true">∅</span><h2>${title}</h2><div class="state-text">${children}</div></div>`;

const HELP = {
  'not-authenticated': 'Whoever runs the service gives tokens out. Yours stays in this tab and is forgotten with it.',
  'not-allowed': 'A token with the role “upload” is needed to look an image of your own up.',
  'not-found': 'The link may be of another index, or of one that has changed since.',
  busy: 'Others are being served; it is usually free again within seconds.',
  'model-unavailable': 'Whoever runs the service can tell it where the network is: --weights and --model.',
  'index-unavailable': 'Whoever runs the service finds the reason in its log.',
};

function TokenForm() {
  const give = (event) => {
    event.preventDefault();
    giveToken(new FormData(event.target).get('token').trim());
  };
  return html`<form class="finder" onSubmit=${give}><label class="choice"><span>Token</span>
    <input name="token" type="password" required autocomplete="off" /></label><button class="button">Go on</button></form>`;
}

/** A problem in words, what may help, and a way to go on. */
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

/** A list's foot: how many are shown, and a button for more. */
export function More({ list, shown, what, onMore }) {
  if (list.error) return html`<${Failure} error=${list.error} retry=${list.retry} />`;
  const of = list.total === null ? '' : ` of ${list.total.toLocaleString('en')}`;
  return html`<div class="more">
    <p class="quiet" aria-live="polite">${shown.toLocaleString('en')}${of} ${what}</p>
    ${!list.complete && html`<button class="button" onClick=${onMore} aria-busy=${list.loading}>
      ${list.loading ? 'Loading …' : 'Show more'}</button>`}
  </div>`;
}
