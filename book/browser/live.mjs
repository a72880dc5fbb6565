// Runs steps from their pages, as a reader does who has opened the address that `workshop book` prints.
//
//   node live.mjs PROGRAM [--shots DIR]
//
// The pages are opened as they are served, and each step really runs on this machine and plays in its page's player. Fails
// unless every check of it has passed and the page says so; unless a page without the token offers nothing; and on a console
// error.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const { values: options, positionals } = parseArgs({ options: { shots: { type: "string" } }, allowPositionals: true });
const program = resolve(positionals[0] ?? join(root, "target/release/workshop"));

// By language, as few as show that all of it works: a step of each kind of narration costs seconds.
const RUNS = [["en", "1"], ["en", "6"], ["ko", "3"]];
const PATIENCE = 120_000;

// The page that has a step's recorded run.
function pageOf(language, step) {
    const folder = join(root, "target/book", language);
    const pages = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith(".html") && file !== "print.html");
    const found = pages.find((page) => readFileSync(join(folder, page), "utf8").includes(`<pre data-step="${step}"`));
    if (!found) throw new Error(`no page of ${language} has a run of step ${step}`);
    return found;
}

async function run(page, address, language, step) {
    await page.goto(address(`${language}/${pageOf(language, step)}`));
    const player = page.locator(`#play-step-${step}`);
    const live = player.locator(".live");
    const recorded = await player.locator("ol").first().innerHTML();
    await live.locator("button").first().press("Enter");
    await live.locator("li.check").first().waitFor();
    await page.waitForFunction((box) => box.querySelectorAll("button")[1].hidden, await live.elementHandle());
    const [status, calls, held, failed] = await Promise.all([
        live.locator(".status").textContent(),
        player.locator(".calls ol > li").count(),
        live.locator("li.held").count(),
        live.locator("li.failed").allTextContents(),
    ]);
    if (options.shots) {
        await live.scrollIntoViewIfNeeded();
        await page.screenshot({ path: join(options.shots, `live-${language}-${step}.png`) });
    }
    if (failed.length || !calls || !held || !/\d/.test(status)) {
        throw new Error(`step ${step} in ${language}: ${status} ${calls} calls, ${held} checks held, failed: ${failed.join("; ")}`);
    }
    // The run that has just been made plays, and can be stepped through like a recorded one.
    const range = player.locator("input");
    await page.waitForFunction(([id, all]) => document.querySelector(`#${id} input`).value === all, [`play-step-${step}`, `${calls}`]);
    if (await player.locator("ol").first().innerHTML() === recorded) throw new Error(`step ${step}: the recorded run still plays`);
    if (!await player.locator(".stage .changed").count() && !await player.locator(".stage .row").count()) throw new Error(`step ${step}: the picture is empty`);
    await range.focus();
    await page.keyboard.press("ArrowLeft");
    if (await range.inputValue() !== `${calls - 1}`) throw new Error(`step ${step}: the run does not go back`);
    if (options.shots) await player.screenshot({ path: join(options.shots, `player-${language}-${step}.png`) });
    console.log(`${language}: ${status}`);
}

if (options.shots) mkdirSync(options.shots, { recursive: true });
const server = spawn(program, ["book", "--format", "json"], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
const browser = await chromium.launch({
    executablePath: ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync),
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"],
});
try {
    const [line] = await once(createInterface({ input: server.stdout }), "line");
    const printed = new URL(JSON.parse(line).url);
    const address = (page) => new URL(`/${page}`, printed).href;
    const page = await browser.newPage();
    page.setDefaultTimeout(PATIENCE);
    const faults = [];
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    page.on("pageerror", (error) => faults.push(error.message));

    await page.goto(address(`en/${pageOf("en", "1")}`));
    if (await page.locator(".live").count()) faults.push("a page without the token offers a run");
    await page.goto(printed.href);
    await page.waitForFunction(() => !location.hash);
    for (const [language, step] of RUNS) await run(page, address, language, step);
    // The contents know which steps are done on this machine.
    const done = page.locator("#contents a:has(.done)");
    await done.first().waitFor({ state: "attached" });
    const marked = await done.evaluateAll((links) => links.map((link) => link.getAttribute("href")));
    for (const [, step] of RUNS) {
        if (!marked.some((href) => href.includes(`0${step}-`))) throw new Error(`step ${step} is not marked as done: ${marked}`);
    }
    if (options.shots) await page.screenshot({ path: join(options.shots, "done.png") });
    if (faults.length) throw new Error(faults.join("\n"));
} finally {
    await browser.close();
    server.kill("SIGINT");
}
const [status] = server.exitCode === null ? await once(server, "exit") : [server.exitCode];
if (status !== 0) throw new Error(`workshop book ended with ${status}`);
