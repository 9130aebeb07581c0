/**
 * Every view has a URL: `#/index/layers/layer/neurons/7?class=…`. A link adds an entry to the history, a small change of
 * a view replaces the entry, and going back scrolls to where the reader was.
 */

import { useEffect, useState } from '../vendor/preact-htm.js';
import { decode, encode, Query, queryText } from './encode.js';

const listeners = new Set();
const positions = new Map(); // scroll positions by history entry
let entry = history.state?.entry ?? 0;
let newest = entry;

function parse(hash) {
  const [path, query = ''] = hash.replace(/^#\/?/, '').split('?');
  return { segments: path.split('/').filter(Boolean).map(decode), query: new Query(query), path };
}

/** The fragment of a view. */
export function href(segments, parameters = {}) {
  const query = queryText(Object.entries(parameters));
  return `#/${segments.map(encode).join('/')}${query ? `?${query}` : ''}`;
}

function announce() {
  const route = parse(location.hash);
  listeners.forEach((listen) => listen(route));
}

/** Show a view; `stay` keeps the scroll position. */
export function go(hash, { replace = false, stay = false } = {}) {
  if (hash === location.hash) return;
  positions.set(entry, scrollY);
  if (!replace) entry = newest += 1;
  history[replace ? 'replaceState' : 'pushState']({ entry }, '', hash);
  announce();
  if (!stay) scrollTo(0, 0);
}

/** Change parameters of the view on screen; null removes one. */
export function change(parameters, { replace = false } = {}) {
  const { path, query } = parse(location.hash);
  for (const [name, value] of Object.entries(parameters)) query.set(name, value);
  const text = queryText(query);
  go(`#/${path}${text ? `?${text}` : ''}`, { replace, stay: true });
}

function followLink(event) {
  const link = event.target.closest?.('a[href^="#/"]');
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented) return;
  event.preventDefault();
  go(link.getAttribute('href'), { stay: 'stay' in link.dataset });
}

function travel(event) {
  positions.set(entry, scrollY);
  entry = event.state?.entry ?? newest;
  announce();
  returnTo(positions.get(entry) ?? 0);
}

/** Scroll back to where the reader was as soon as the page is long enough, unless the reader scrolls meanwhile. */
function returnTo(y) {
  const until = performance.now() + 2000;
  let left = false;
  const leave = () => { left = true; };
  addEventListener('wheel', leave, { once: true, passive: true });
  addEventListener('keydown', leave, { once: true });
  const attempt = () => {
    if (left) return;
    const longEnough = document.documentElement.scrollHeight >= y + innerHeight;
    if (longEnough || performance.now() > until) scrollTo(0, y);
    else requestAnimationFrame(attempt);
  };
  requestAnimationFrame(attempt);
}

export function start() {
  history.scrollRestoration = 'manual';
  history.replaceState({ entry }, '', location.href);
  addEventListener('click', followLink);
  addEventListener('popstate', travel);
}

/** The route on screen: `segments`, `query` (Query) and `path` (without the query). */
export function useRoute() {
  const [route, setRoute] = useState(() => parse(location.hash));
  useEffect(() => {
    listeners.add(setRoute);
    setRoute(parse(location.hash));
    return () => listeners.delete(setRoute);
  }, []);
  return route;
}
