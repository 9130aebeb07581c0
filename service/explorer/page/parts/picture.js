/** A picture made by the API, with the link to the call that made it. */

import { absolute, getBlob, token, whyNot } from '../lib/api.js';
import { html, useEffect, useState } from './html.js';
import { copy } from './toast.js';

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
export function useShowable(src) {
  const [own, setOwn] = useState({ src: null, url: null });
  const direct = src === null || token() === null || !src.startsWith('/');
  useEffect(() => {
    if (direct) return undefined;
    let url = null;
    let live = true;
    getBlob(src).then((blob) => {
      if (!live) return;
      url = URL.createObjectURL(blob);
      setOwn({ src, url });
    }, () => live && setOwn({ src, url: src }));
    return () => {
      live = false;
      if (url) URL.revokeObjectURL(url);
    };
  }, [src, direct]);
  if (direct) return src;
  return own.src === src ? own.url : null;
}

/**
 * `alt` describes the picture. The frame has its shape (`ratio`, width / height) from the start, so nothing moves when
 * the picture arrives. `children` are laid over it; `to` makes it a link.
 */
export function Picture({ src, alt, ratio = 1, to = null, fit = 'contain', children }) {
  const [state, setState] = useState({ src: null, is: 'loading', error: null });
  const url = useShowable(src);
  const is = state.src === src ? state.is : 'loading';
  const fail = async () => {
    const error = await whyNot(src);
    setState({ src, is: 'failed', error });
  };
  const image = is === 'failed'
    ? html`<span class="picture-failed" role="img" aria-label=${`${alt}: cannot be shown`}>
        ${state.error ? state.error.detail : 'This picture cannot be shown.'}</span>`
    : url && html`<img key=${url} src=${url} alt=${alt} decoding="async"
        style=${{ objectFit: fit }} onLoad=${() => setState({ src, is: 'shown' })} onError=${fail} />`;
  const body = html`${image}${children}`;
  return html`<div class="picture" data-is=${is} style=${{ aspectRatio: String(ratio) }}>
    ${to ? html`<a class="picture-to" href=${to}>${body}</a>` : body}
    <${ApiLink} url=${src} what=${alt} />
  </div>`;
}
