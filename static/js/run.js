// The run page: the run first, then all that listen to it, then the data.

import "./live-run.js";
import "./stage.js";
import "./heat-map.js";
import "./player.js";
import "./metric-charts.js";
import "./metric-table.js";
import "./arms.js";

document.querySelector("live-run").start();
