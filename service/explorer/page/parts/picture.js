/** A picture made by the API, with the link to the call that made it. */

import { absolute, getBlob, token, whyNot } from '../lib/api.js';
import { html, useEffect, useRef, useState } from './html.js';
import { copy } from './toast.js';

/** How often a picture that failed, and can be had when one asks why, is asked for again. */
const AGAIN = 2;

/** A link to an API call; a click copies it. */
export function ApiLink({ url, what }) {
  const take = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    copy(absolute(url), `GET ${url}`);
  };
  return html`<a class="api-link" href=${url} onClick=${take} title="Copy the link to this API call"
    aria-label=${`Copy the API link of ${what}`}>API</a>`;
}

/** A URL that an <img> can show: the picture's own or, if a token is needed, one of its bytes, which is null at first. */
function useShowable(src, attempt = 0) {
  const [own, setOwn] = useState({ src: null, attempt: 0, url: null });
  const direct = src === null || token() === null || !src.startsWith('/');
  useEffect(() => {
    if (direct) return undefined;
    let url = null;
    let live = true;
    getBlob(src).then((blob) => {
      if (!live) return;
      url = URL.createObjectURL(blob);
      setOwn({ src, attempt, url });
    }, () => live && setOwn({ src, attempt, url: src }));
    return () => {
      live = false;
      if (url) URL.revokeObjectURL(url);
    };
  }, [src, direct, attempt]);
  if (direct) return src;
  return own.src === src && own.attempt === attempt ? own.url : null;
}

/**
 * A picture on its way: `{url, is, error, key, onLoad, onError}`. `url` is null until there is one; `is` is 'loading', 'shown' or
 * 'failed', then with the `error` of the API, or null. `key`, `onLoad` and `onError` belong to the <img>.
 */
export function useImage(src) {
  const current = useRef(src);
  current.current = src;
  const [state, setState] = useState({ src: null });
  const own = state.src === src ? state : { src, is: 'loading', error: null, attempt: 0 };
  const url = useShowable(src, own.attempt);
  // What is known of a picture may come when another one is shown in its place, and would hide that.
  const put = (part) => current.current === src && setState({ ...own, ...part });
  const onError = async () => {
    const asked = src.startsWith('/'); // an upload has no URL of the API; its format may be one that browsers do not show
    const error = asked ? await whyNot(src) : null;
    put(asked && error === null && own.attempt < AGAIN ? { attempt: own.attempt + 1 } : { is: 'failed', error });
  };
  return { url, is: own.is, error: own.error, key: `${own.attempt} ${url}`, onLoad: () => put({ is: 'shown' }), onError };
}

/** A picture of the API without a frame of its own; an <img> in its place would carry no token. */
export function Bare({ src, alt, ...own }) {
  const { url, key, onLoad, onError } = useImage(src);
  return url && html`<img key=${key} src=${url} alt=${alt} onLoad=${onLoad} onError=${onError} ...${own} />`;
}

/**
 * `alt` describes the picture. The frame has its shape (`ratio`, width / height) from the start, so nothing moves when
 * the picture arrives. `children` are laid over it; `to` makes it a link.
 */
export function Picture({ src, alt, ratio = 1, to = null, fit = 'contain', children }) {
  const { url, is, error, key, onLoad, onError } = useImage(src);
  const image = is === 'failed'
    ? html`<span class="picture-failed" role="img" aria-label=${`${alt}: cannot be shown`}>
        ${error ? error.detail : 'This picture cannot be shown.'}</span>`
    : url && html`<img key=${key} src=${url} alt=${alt} decoding="async"
        style=${{ objectFit: fit }} onLoad=${onLoad} onError=${onError} />`;
  const body = html`${image}${children}`;
  return html`<div class="picture" data-is=${is} style=${{ aspectRatio: String(ratio) }}>
    ${to ? html`<a class="picture-to" href=${to}>${body}</a>` : body}
    <${ApiLink} url=${src} what=${alt} />
  </div>`;
}
