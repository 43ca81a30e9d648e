// What is wider than it may be, on a screen and on paper.

/**
 * What does not fit the page's width. What is wide scrolls inside itself, and the keyboard reaches it. On paper nothing
 * scrolls: whatever is wider than its box is cut off.
 */
export const tooWide = (page, { paper = false } = {}) => page.evaluate((paper) => {
    const faults = [];
    const width = document.documentElement.clientWidth;
    const name = (element) => {
        const classes = [...element.classList].map((word) => `.${word}`).join("");
        return `${element.localName}${element.id ? `#${element.id}` : ""}${classes} "${element.textContent.trim().replace(/\s+/g, " ").slice(0, 30)}"`;
    };
    const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
    const inside = (element) => element.parentElement && (scrolls(element.parentElement) || inside(element.parentElement));
    const whole = document.scrollingElement.scrollWidth;
    if (whole > width) {
        faults.push(`the page is ${whole} px wide`);
    }
    for (const element of [document.body, ...document.body.querySelectorAll("*:not(svg *)")]) {
        const box = element.getBoundingClientRect();
        // Two pixels or less: text for a screen reader alone.
        if (!element.checkVisibility({ visibilityProperty: true }) || box.width <= 2 || box.height <= 2) {
            continue;
        }
        // A space at which a line is broken hangs over the edge: on paper it does not matter.
        const over = (box) => box.right > width + (paper ? 8 : 1);
        // The innermost that is too wide says what it is.
        if (over(box) && ![...element.children].some((child) => over(child.getBoundingClientRect())) && (paper || !inside(element))) {
            faults.push(`${name(element)} ends at ${Math.round(box.right)} px`);
        }
        const hidden = element.scrollWidth - element.clientWidth;
        const overflow = getComputedStyle(element).overflowX;
        if (hidden <= 1 || element.clientWidth === 0 || overflow === "visible" || element === document.body) {
            continue;
        }
        if (paper || overflow === "hidden" || overflow === "clip") {
            faults.push(`${name(element)}: ${hidden} px are cut off`);
        } else if (element.tabIndex < 0) {
            if (!element.querySelector("a[href], button, input, select, [tabindex='0']")) {
                faults.push(`${name(element)} scrolls, and the keyboard does not reach it`);
            }
        } else if (!element.matches("[role]:is([aria-label], [aria-labelledby]), figure:has(> figcaption)")) {
            faults.push(`${name(element)} takes the focus to scroll, without a role and a name`);
        }
    }
    return faults;
}, paper);
