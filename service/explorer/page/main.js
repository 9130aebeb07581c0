/** Puts the explorer on the page. */

import { start } from './lib/route.js';
import { html, render } from './parts/html.js';
import { App } from './views/app.js';

start();
const root = document.getElementById('app');
root.replaceChildren();
render(html`<${App} />`, root);
