/** The functions that every component uses. */

export { html, render, Component } from '../vendor/preact-htm.js';
export { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from '../vendor/preact-htm.js';
