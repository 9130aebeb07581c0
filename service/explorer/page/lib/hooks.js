/** Answers of the API as state of a component. */

import { useCallback, useEffect, useRef, useState } from '../vendor/preact-htm.js';
import { get, withQuery } from './api.js';

const NOTHING = { data: null, error: null };

/** The JSON at a URL (null asks for nothing): `{data, error, loading, retry}`. It never gives the data of another URL. */
export function useJson(url) {
  const [state, setState] = useState({ url: null, ...NOTHING });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (url === null) return undefined;
    let live = true;
    setState((old) => (old.url === url && old.data ? old : { url, ...NOTHING }));
    get(url).then(
      (data) => live && setState({ url, data, error: null }),
      (error) => live && setState({ url, data: null, error }),
    );
    return () => { live = false; };
  }, [url, attempt]);
  const { data, error } = state.url === url ? state : NOTHING;
  const retry = useCallback(() => setAttempt((number) => number + 1), []);
  return { data, error, loading: url !== null && !data && !error, retry };
}

/** The first `depth` items of a list, asked for in pages: `{items, total, complete, error, loading, retry}`. */
export function useList(url, page, depth) {
  const [state, setState] = useState({ url: null, pages: [], error: null });
  const [attempt, setAttempt] = useState(0);
  const wanted = Math.ceil(depth / page);
  useEffect(() => {
    if (url === null) return undefined;
    let live = true;
    const put = (number, data) => setState((old) => {
      const pages = old.url === url ? [...old.pages] : [];
      pages[number] = data;
      return { url, pages, error: null };
    });
    setState((old) => (old.url === url ? { ...old, error: null } : { url, pages: [], error: null }));
    for (let number = 0; number < wanted; number += 1) {
      get(withQuery(url, { limit: page, offset: number * page })).then(
        (data) => live && put(number, data),
        (error) => live && setState((old) => ({ ...old, error })),
      );
    }
    return () => { live = false; };
  }, [url, page, wanted, attempt]);
  const pages = state.url === url ? state.pages : [];
  const items = [];
  let arrived = 0;
  while (arrived < pages.length && pages[arrived]) items.push(...pages[arrived++].items);
  const last = pages[arrived - 1];
  const complete = Boolean(last) && (last.total === null ? last.items.length < page : items.length >= last.total);
  const error = state.url === url ? state.error : null;
  return {
    items,
    total: last ? last.total : null,
    complete,
    error,
    loading: url !== null && !error && arrived < wanted && !complete,
    retry: useCallback(() => setAttempt((number) => number + 1), []),
  };
}

const NO_PAGES = { total: null, pages: new Map(), failed: new Map() };

/**
 * A long list that asks only for the items on screen: `{total, at, want, error, retry}`.
 *
 * `at(i)` is an item or null, `want(first, end)` asks for those in between. `error` is of a page that failed and has not come
 * since; `retry` asks for all of those again.
 */
export function useSparse(url, page) {
  const [state, setState] = useState({ url: null, ...NO_PAGES });
  const asked = useRef({ url: null, pages: new Set() });
  const want = useCallback((first, end) => {
    if (asked.current.url !== url) asked.current = { url, pages: new Set() };
    const mine = asked.current;
    const put = (change) => asked.current === mine && setState((old) => ({ url, ...change(old.url === url ? old : NO_PAGES) }));
    for (let number = Math.floor(first / page); number * page < Math.max(end, 1); number += 1) {
      if (mine.pages.has(number)) continue;
      mine.pages.add(number);
      get(withQuery(url, { limit: page, offset: number * page })).then(
        ({ items, total }) => put(({ pages, failed }) => (
          { total, pages: new Map(pages).set(number, items), failed: new Map([...failed].filter(([other]) => other !== number)) })),
        (error) => {
          mine.pages.delete(number);
          put(({ total, pages, failed }) => ({ total, pages, failed: new Map(failed).set(number, error) }));
        },
      );
    }
  }, [url, page]);
  useEffect(() => want(0, 1), [want]);
  const own = state.url === url ? state : NO_PAGES;
  return {
    total: own.total,
    error: [...own.failed.values()][0] ?? null,
    at: (index) => own.pages.get(Math.floor(index / page))?.[index % page] ?? null,
    want,
    retry: () => [...own.failed.keys()].forEach((number) => want(number * page, number * page + 1)),
  };
}

/** The width of an element in pixels, followed as it changes; 0 before it is known. */
export function useWidth(ref) {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([seen]) => setWidth(Math.floor(seen.contentRect.width)));
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** A value that follows another one after that has not changed for some milliseconds. */
export function useSettled(value, delay) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), delay);
    return () => clearTimeout(timer);
  }, [value, delay]);
  return settled;
}

/** Like `useJson`, for the promise of `ask()`; a change of one of `inputs` calls `ask` again, null asks for nothing. */
export function useAnswer(ask, inputs) {
  const [state, setState] = useState({ inputs: null, ...NOTHING });
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    if (ask === null) return undefined;
    let live = true;
    ask().then(
      (data) => live && setState({ inputs, data, error: null }),
      (error) => live && setState({ inputs, data: null, error }),
    );
    return () => { live = false; };
  }, [...inputs, ask === null, attempt]);
  const same = state.inputs !== null && inputs.every((input, i) => input === state.inputs[i]);
  const { data, error } = same && ask !== null ? state : NOTHING;
  return { data, error, loading: ask !== null && !data && !error, retry: () => setAttempt((number) => number + 1) };
}
