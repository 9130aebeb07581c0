/** A job that waits, runs, or has ended without a result: its progress, and a way to end it. */

import { remove } from '../lib/api.js';
import { count } from '../lib/format.js';
import { ended, useFresh } from '../lib/jobs.js';
import { html } from './html.js';
import { Failure, Loading } from './states.js';
import { say } from './toast.js';

const WORDS = { queued: 'waits for its turn', running: 'runs', done: 'is done', failed: 'failed', cancelled: 'was cancelled', lost: 'was lost' };

export const stateWords = (job) => (job.cancelling ? 'is about to end' : WORDS[job.state] ?? job.state);

/** A bar while it runs, with the steps done. */
export function JobProgress({ job }) {
  if (job.state !== 'running') return null;
  const known = job.done !== null && job.total !== null;
  return html`<span class="job-progress"><progress value=${known ? job.done : null} max=${known ? job.total : 1} aria-label="Progress"></progress>
    ${known && html`<span class="quiet">${count(job.done)} of ${count(job.total)}</span>`}</span>`;
}

/** Cancels a job, or deletes one that has ended; `onEnd` is called afterwards. */
export function EndButton({ job, label, onEnd }) {
  const over = ended(job);
  const end = () => remove(job.links.self).then(onEnd, (problem) => say(`${problem.title}: ${problem.detail}`));
  if (!job.may_end || job.cancelling) return null;
  return html`<button class="button small" onClick=${end} aria-label=${`${over ? 'Delete' : 'Cancel'} ${label}`}>${over ? 'Delete' : 'Cancel'}</button>`;
}

/** What is to be seen of a job in place of its result. */
export function JobStatus({ job, again }) {
  return html`<div class="state job-status" role="status">
    ${job.state === 'queued' && html`<span class="spinner" aria-hidden="true"></span>`}
    <p>The job ${stateWords(job)}${job.detail ? html`: ${job.detail}` : job.state === 'running' ? ' …' : '.'}</p>
    <${JobProgress} job=${job} /><${EndButton} job=${job} label="this job" onEnd=${again} /></div>`;
}

/** A job by its URL, followed to its end; then `show(result, job)`. */
export function Followed({ url, show }) {
  const job = useFresh(url, ended);
  const resultUrl = job.data?.links.result ?? null;
  const result = useFresh(resultUrl, () => true);
  const error = job.error ?? result.error;
  if (error) return html`<${Failure} error=${error} retry=${job.error ? job.again : result.again} />`;
  if (!job.data || (resultUrl && !result.data)) return html`<${Loading} />`;
  return resultUrl ? show(result.data, job.data) : html`<${JobStatus} job=${job.data} again=${job.again} />`;
}
