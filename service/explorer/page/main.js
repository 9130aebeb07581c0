/** Puts the explorer on the page. */

import { start } from './lib/route.js';
import { html, render } from './parts/html.js';
import { App } from './views/app.js';

start();
const place = document.getElementById('app');
place.replaceChildren();
render(html`<${App} />`, place);
