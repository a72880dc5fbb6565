// Opens every page of the built book in Chromium, as a file: no server, so nothing may need one.
//
//   node check.mjs [--book DIR] [--shots DIR]
//
// Fails on a console error, a request to elsewhere, a page that moves sideways, a question that can't be answered by
// keyboard, a language link that leads to another page, a Korean word that is not found.

import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({ options: { book: { type: "string" }, shots: { type: "string" } } });
const book = resolve(options.book ?? join(here, "../../target/book"));

const LANGUAGES = ["en", "ko"];
const THEMES = ["light", "navy"];
const WIDTHS = [390, 1280];
// Debian's chromium in a container or CI, with all that phones home left out.
const FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
];

const faults = [];
const fault = (where, what) => faults.push(`${where}: ${what}`);
const url = (page, fragment = "") => pathToFileURL(join(book, page)).href + fragment;

// The frame that readers without a script get is no page.
function pagesOf(language) {
    const files = readdirSync(join(book, language), { recursive: true }).filter((file) => file.endsWith(".html"));
    return files.filter((file) => file !== "toc.html").map((file) => join(language, file)).sort();
}

async function openBrowser() {
    const executablePath = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
    if (!executablePath) throw new Error("Chromium is missing. Install chromium");
    return chromium.launch({ executablePath, args: FLAGS });
}

// A window in one theme and width, which reports whatever goes wrong in it.
async function openWindow(browser, theme, width) {
    const context = await browser.newContext({
        viewport: { width, height: 900 },
        colorScheme: theme === "light" ? "light" : "dark",
    });
    await context.addInitScript((name) => localStorage.setItem("mdbook-theme", name), theme);
    const page = await context.newPage();
    const where = () => `${relative(book, fileURLToPath(page.url().split("#")[0]))} (${theme}, ${width})`;
    page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) fault(where(), message.text());
    });
    page.on("pageerror", (error) => fault(where(), error.message));
    page.on("request", (request) => {
        if (!/^(?:file|data|blob):/.test(request.url())) fault(where(), `asks for ${request.url()}`);
    });
    page.on("requestfailed", (request) => {
        // The next page was opened before all of this one was there.
        if (request.failure().errorText !== "net::ERR_ABORTED") fault(where(), `did not get ${request.url()}`);
    });
    return page;
}

// What moves sideways though it may not: the page itself, or the column that the text is in.
function sideways() {
    const column = document.querySelector(".content");
    const boxes = [["page", document.documentElement], ["body", document.body], ["column", column]];
    return boxes.filter(([, box]) => box.scrollWidth > box.clientWidth + 1)
        .map(([name, box]) => `the ${name} is ${box.scrollWidth} wide in ${box.clientWidth}`);
}

async function look(page, path, theme, width) {
    await page.goto(url(path));
    const where = `${path} (${theme}, ${width})`;
    const language = path.split("/")[0];
    const lang = await page.evaluate(() => document.documentElement.lang);
    if (lang !== language) fault(where, `its language is ${lang}`);
    for (const what of await page.evaluate(sideways)) fault(where, what);
    if (options.shots) {
        const name = `${path.replaceAll("/", "-").replace(".html", "")}-${theme}-${width}.png`;
        await page.screenshot({ path: join(options.shots, name), fullPage: true });
    }
}

// Every question by keyboard: moving with the arrows is no answer, Enter is; one choice is right.
async function answer(page, path) {
    await page.goto(url(path));
    const quizzes = page.locator(".quiz");
    for (let n = 0; n < await quizzes.count(); n++) {
        const quiz = quizzes.nth(n);
        const name = await quiz.locator("input").first().getAttribute("name");
        if (await quiz.locator(".why").isVisible()) fault(path, `${name}: the answer is there before the question`);
        const choices = await quiz.locator("input").count();
        await quiz.locator("input").first().focus();
        await page.keyboard.press("Space");
        let right = await quiz.evaluate((node) => node.classList.contains("answered")) ? 1 : 0;
        for (let choice = 1; choice < choices && !right; choice++) {
            const before = await quiz.locator(".verdict").textContent();
            await page.keyboard.press("ArrowDown");
            if (await quiz.locator(".verdict").textContent() !== before) fault(path, `${name}: an arrow answers`);
            await page.keyboard.press("Enter");
            right += await quiz.evaluate((node) => node.classList.contains("answered")) ? 1 : 0;
        }
        if (right !== 1) fault(path, `${name}: no choice is right`);
        else if (!await quiz.locator(".why p").last().isVisible()) fault(path, `${name}: it does not say why`);
    }
    return quizzes.count();
}

async function switchLanguage(page) {
    for (const [from, to] of [["en", "ko"], ["ko", "en"]]) {
        await page.goto(url(`${from}/build/03-pivot-root.html`, "#call-pivot"));
        await page.locator("a.book-language").click();
        await page.waitForURL(url(`${to}/build/03-pivot-root.html`, "#call-pivot"), { timeout: 5000 })
            .catch(() => fault(from, `the link to ${to} leads to ${page.url()}`));
    }
}

// What to type, what a result must hold, and where Enter must lead.
const SEARCHES = [
    ["ko", "네임스페이스가", "네임스페이스"],
    ["ko", "오버레이 화이트아웃", "오버레이"],
    ["en", "pivot_root chroot", "pivot_root"],
    ["en", "MEMORY.MAX", "memory.max"],
];

async function search(page, [language, words, wanted], key) {
    const where = `${language}: search for ${words}`;
    await page.goto(url(`${language}/index.html`));
    await page.keyboard.press(key);
    await page.keyboard.type(words);
    const first = page.locator("#book-search li a").first();
    await first.waitFor({ timeout: 5000 }).catch(() => {});
    if (await first.count() === 0) return fault(where, "nothing found");
    const text = (await page.locator("#book-search > ul").textContent()).toLowerCase();
    if (!text.includes(wanted)) fault(where, `no result has ${wanted}`);
    const target = await first.evaluate((link) => link.href);
    await page.keyboard.press("Enter");
    await page.waitForURL(target, { timeout: 5000 }).catch(() => fault(where, `Enter leads to ${page.url()}`));
    return undefined;
}

async function searchNothing(page) {
    await page.goto(url("ko/index.html"));
    await page.keyboard.press("s");
    await page.keyboard.type("qqqqqqq");
    await page.waitForTimeout(300);
    if (await page.locator("#book-search li a").count() > 0) fault("ko", "finds a word that is nowhere");
    await page.keyboard.press("Escape");
    if (await page.locator("#book-search").isVisible()) fault("ko", "Escape does not close the search");
}

// Without a script a fold has the answer.
async function withoutScript(browser) {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(url("en/machines/02-container.html"));
    const fold = page.locator(".quiz details").first();
    await fold.locator("summary").click();
    if (!await fold.locator(".right").isVisible()) fault("en", "without a script, the fold has no answer");
    await context.close();
}

async function firstPage(browser) {
    for (const [locale, language] of [["ko-KR", "ko"], ["en-GB", "en"], ["fr-FR", "en"]]) {
        const context = await browser.newContext({ locale });
        const page = await context.newPage();
        await page.goto(url("index.html"));
        await page.waitForURL(url(`${language}/index.html`), { timeout: 5000 })
            .catch(() => fault("index.html", `a reader of ${locale} comes to ${page.url()}`));
        await context.close();
    }
}

async function lookAtAll(browser, pages, theme, width) {
    const page = await openWindow(browser, theme, width);
    for (const path of pages) await look(page, path, theme, width);
    await page.context().close();
}

// print.html has the questions of all pages once more.
async function answerAll(page, pages) {
    let questions = 0;
    for (const path of pages.filter((path) => !path.endsWith("print.html"))) questions += await answer(page, path);
    return questions;
}

async function main() {
    if (options.shots) mkdirSync(options.shots, { recursive: true });
    const browser = await openBrowser();
    const pages = LANGUAGES.flatMap(pagesOf);
    const windows = THEMES.flatMap((theme) => WIDTHS.map((width) => lookAtAll(browser, pages, theme, width)));
    const page = await openWindow(browser, "light", 1280);
    const [questions] = await Promise.all([answerAll(page, pages), ...windows]);
    await switchLanguage(page);
    for (const [n, wanted] of SEARCHES.entries()) await search(page, wanted, n % 2 ? "s" : "/");
    await searchNothing(page);
    await withoutScript(browser);
    await firstPage(browser);
    await browser.close();
    if (faults.length) {
        console.error(faults.join("\n"));
        console.error(`${faults.length} faults`);
        return 1;
    }
    console.log(`${pages.length} pages, ${THEMES.length} themes, ${WIDTHS.length} widths, ${questions} questions: no fault`);
    return 0;
}

process.exitCode = await main();
