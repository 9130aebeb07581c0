/** The image that was dropped, pasted or chosen. Only this tab holds it: the service keeps it for jobs alone. */

import { useEffect, useState } from '../vendor/preact-htm.js';

let current = null;
const watchers = new Set();

/** Take a file: `{file, url, number}`; another number for every file. */
export function take(file) {
  if (current) URL.revokeObjectURL(current.url);
  current = { file, url: URL.createObjectURL(file), number: (current?.number ?? 0) + 1 };
  watchers.forEach((watch) => watch(current));
}

export function useUpload() {
  const [upload, setUpload] = useState(current);
  useEffect(() => {
    watchers.add(setUpload);
    setUpload(current);
    return () => watchers.delete(setUpload);
  }, []);
  return upload;
}
