// A click on a column's head sorts the table.
for (const table of document.querySelectorAll(".sortable table")) new Tablesort(table);
