// Opens pages as phones and desktops do and says what it saw, as JSON. Usage: node look.mjs CHROMIUM BASE OUT PATH...
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

// The packages are beside the working directory, not beside this file.
const require = createRequire(path.join(process.cwd(), 'package.json'));
const puppeteer = require('puppeteer-core');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const [chromium, base, out, ...paths] = process.argv.slice(2);
const SIZES = { phone: { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true }, desktop: { width: 1280, height: 900 } };
const seen = [];
// Whoever runs this as root in a container has no sandbox to give; the pages are the tests' own.
const browser = await puppeteer.launch({ executablePath: chromium, headless: true, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
try {
  for (const [device, viewport] of Object.entries(SIZES)) {
    for (const scheme of ['light', 'dark']) {
      for (const name of paths) {
        const page = await browser.newPage();
        const said = [];
        page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
        page.on('pageerror', (error) => said.push(`error: ${error.message}`));
        page.on('requestfailed', (request) => said.push(`failed: ${request.url()}`));
        page.on('response', (response) => response.status() >= 400 && said.push(`${response.status()}: ${response.url()}`));
        await page.setViewport(viewport);
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
        // The pages have to work without scripts; the judge is one, and gets in by the debugger.
        await page.setBypassCSP(false);
        await page.goto(base + name, { waitUntil: 'load' });
        const file = `${name.replaceAll('/', '') || 'overview'}-${device}-${scheme}.png`;
        await page.screenshot({ path: path.join(out, file), fullPage: true });
        const found = await page.evaluate(() => ({
          wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
          links: [...document.querySelectorAll('a[href]')].map((link) => link.href),
          scripts: document.scripts.length,
          small: [...document.querySelectorAll('nav a, a.tile')].filter((link) => link.getBoundingClientRect().height < 40).map((link) => link.textContent),
        }));
        await page.evaluate(axe);
        const judged = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
        const violations = judged.violations.map((each) => `${each.id} (${each.impact}): ${each.nodes.map((node) => node.target.join(' ') + ' ' + (node.any[0]?.message ?? '')).join('; ')}`);
        seen.push({ name, device, scheme, said, ...found, violations, passed: judged.passes.map((each) => each.id), file });
        await page.close();
      }
    }
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
