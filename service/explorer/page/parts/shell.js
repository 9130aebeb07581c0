/** The frame of every view: where the reader is, where to go from here, and the API calls that made the view. */

import { absolute, watchCalls } from '../lib/api.js';
import { to } from '../lib/names.js';
import { html, useEffect, useRef, useState } from './html.js';
import { Chooser } from './drop.js';
import { Find } from './find.js';
import { Toast, copy } from './toast.js';

const skip = (event) => {
  event.preventDefault();
  document.getElementById('main').focus();
};

/** `crumbs` are [label, href]; `place` names the entry of the navigation that is current. */
export function Shell({ index, crumbs, place, children }) {
  const places = useRef(null);
  useEffect(() => showCurrent(places.current), [place]);
  const entries = index
    ? [['layers', 'Layers', to.index(index)], ['images', 'Images', to.images(index)],
       ['classes', 'Classes', to.classes(index)], ['mistakes', 'Mistakes', to.mistakes(index)], ['report', 'Report', to.report(index)],
       ['compare', 'Compare', to.compare({ a: index })], ['what-if', 'What if', to.whatIf(index)], ['jobs', 'Jobs', to.jobs({ index })]]
    : [['home', 'Indexes', to.home()], ['compare', 'Compare', to.compare()], ['jobs', 'Jobs', to.jobs()], ['lists', 'Lists', to.lists()]];
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to content</a>
    <header class="top">
      <nav class="crumbs" aria-label="Where you are"><ol>
        <li><a class="mark" href=${to.home()}><${Mark} />unitscope</a></li>
        ${crumbs.map(([label, link], number) => html`<li key=${link}><a href=${link}
          aria-current=${number === crumbs.length - 1 ? 'page' : null}>${label}</a></li>`)}
      </ol></nav>
      <nav class="places" aria-label="Views" ref=${places}><ul>
        ${entries.map(([name, label, link]) => html`<li key=${name}><a href=${link}
          aria-current=${name === place ? 'true' : null}>${label}</a></li>`)}
      </ul></nav>
      ${index && html`<div class="tools"><${Find} key=${index} index=${index} /><${Chooser} index=${index} /></div>`}
    </header>
    <main id="main" tabindex="-1">${children}</main>
    <${Calls} />
    <${Toast} />`;
}

/** On a phone the navigation is one line that scrolls sideways. */
function showCurrent(places) {
  const current = places.querySelector('[aria-current]');
  if (current) places.scrollLeft = current.offsetLeft - places.offsetLeft - 40;
}

const Mark = () => html`<svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
  ${[0, 7, 14].flatMap((y) => [0, 7, 14].map((x) => html`<rect x=${x} y=${y} width="6" height="6" rx="1"
    class=${x === 7 && y === 7 ? 'mark-on' : 'mark-off'} />`))}</svg>`;

function Calls() {
  const [calls, setCalls] = useState([]);
  useEffect(() => watchCalls(setCalls), []);
  if (!calls.length) return null;
  return html`<footer class="calls"><details>
    <summary>How this page was made: ${calls.length} ${calls.length === 1 ? 'call' : 'calls'} to the API</summary>
    <ul>${calls.map(({ method, url, body, seen }) => html`<li key=${method + url}>
      <button class="call" onClick=${() => copy(asCurl(method, url, body, seen), 'the call as a curl command')}
        aria-label=${`Copy ${method} ${url} as a curl command`}><b>${method}</b> <code>${url}</code></button></li>`)}</ul>
    <p class="quiet">Click a call to copy it for the command line. <a href="openapi.yaml">openapi.yaml</a> describes all
      calls.</p>
  </details></footer>`;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function asCurl(method, url, body, seen) {
  const sent = body !== null ? `--json ${quoted(JSON.stringify(body))} ` : method === 'POST' ? '-F image=@photo.jpg ' : '';
  const plain = method === 'GET' || method === 'POST';
  return `curl ${plain ? '' : `-X ${method} `}${seen ? `-H ${quoted(`If-Match: ${seen}`)} ` : ''}${sent}${quoted(absolute(url))}`;
}
