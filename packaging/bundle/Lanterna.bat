@echo off
rem Starts Lanterna with the Python of this folder. Double click, or in a terminal: Lanterna.bat demo
rem The folder needs no Python on the computer: it carries one, or fetches one into itself with bin\uv.exe.
setlocal
chcp 65001 >nul
title Lanterna
set "HERE=%~dp0"
set "PYTHONHOME="
set "PYTHONPATH="
set "PYTHONUTF8=1"
set "UV_PYTHON_INSTALL_DIR=%HERE%python"
set "PYTHON=%HERE%python\python.exe"
if exist "%PYTHON%" goto start

call :find
if defined PYTHON goto start
echo Fetching Python (once).
"%HERE%bin\uv.exe" python install --no-bin 3.11
call :find
if defined PYTHON goto start
echo Python could not be fetched. Check the connection (and HTTPS_PROXY), then start Lanterna again.
pause
exit /b 1

:start
if not "%~1"=="" goto verb
if exist "%HERE%.venv\lanterna.json" goto open
"%PYTHON%" "%HERE%app\launch.py" install
if errorlevel 1 goto failed
:open
"%PYTHON%" "%HERE%app\launch.py" --or-show --window
if errorlevel 1 goto failed
exit /b 0

:failed
pause
exit /b 1

:verb
"%PYTHON%" "%HERE%app\launch.py" %*
exit /b %errorlevel%

:find
set "PYTHON="
for /f "usebackq delims=" %%P in (`""%HERE%bin\uv.exe" python find --managed-python 3.11 2^>nul"`) do set "PYTHON=%%P"
exit /b 0
