@echo off
rem Sets Lanterna up and opens it: install.bat [flags of `launch.py install`; docs\install.md explains them]
rem Finds a Python, or fetches one; everything else is in launch.py. Run it again whenever something stopped it.
setlocal
chcp 65001 >nul
title Lanterna
set "HERE=%~dp0"
set "PYTHONHOME="
set "PYTHONPATH="
set "PYTHONUTF8=1"
rem what is fetched where there is none; `py` must not fetch others
set "WANTED=3.11"
set "PYTHON_MANAGER_AUTOMATIC_INSTALL=false"
set "UV_PYTHON_INSTALL_BIN=0"
set "PAGE=https://www.python.org/downloads/"
set "UV_PYTHON_INSTALL_DIR=%HERE%.uv\python"
if exist "%HERE%bundle.json" set "UV_PYTHON_INSTALL_DIR=%HERE%..\python"

call :find_python
if defined PYTHON goto start
echo There is no Python 3.11 to 3.13 (64 bit) here.
call :find_uv
if not defined UV call :fetch_uv
if not defined UV goto nothing
echo Fetching Python %WANTED% into "%UV_PYTHON_INSTALL_DIR%" with "%UV%".
"%UV%" python install %WANTED%
call :find_python
if defined PYTHON goto start

:nothing
echo Python could not be fetched.
echo   -^> Check the connection (and HTTPS_PROXY), or install Python 3.11 to 3.13 from %PAGE%, then run this again.
pause
exit /b 1

:start
"%PYTHON%" "%HERE%launch.py" install --start %*
set "CODE=%errorlevel%"
if not "%CODE%"=="0" pause
exit /b %CODE%

:find_python
set "PYTHON="
if exist "%HERE%..\python\python.exe" call :try "%HERE%..\python\python.exe"
for /d %%D in ("%UV_PYTHON_INSTALL_DIR%\cpython-%WANTED%*") do call :try "%%D\python.exe"
for %%V in (3.13 3.12 3.11) do call :py %%V
call :try python
exit /b 0

:py
if defined PYTHON exit /b 0
for /f "usebackq delims=" %%P in (`py -%1 -c "import sys; print(sys.executable)" 2^>nul`) do call :try "%%P"
exit /b 0

:try
rem 3.11 to 3.13, 64 bit, with all that an environment needs
if defined PYTHON exit /b 0
"%~1" -c "import sys, ensurepip, venv; v = sys.version_info[:2]; sys.exit(v not in ((3, 11), (3, 12), (3, 13)) or sys.maxsize == 2**31 - 1)" >nul 2>nul && set "PYTHON=%~1"
exit /b 0

:find_uv
set "UV="
if exist "%HERE%.uv\uv.exe" set "UV=%HERE%.uv\uv.exe"
if exist "%HERE%..\bin\uv.exe" set "UV=%HERE%..\bin\uv.exe"
if defined UV exit /b 0
for /f "usebackq delims=" %%P in (`where uv 2^>nul`) do if not defined UV set "UV=%%P"
exit /b 0

:fetch_uv
echo Fetching uv, the program that fetches Python, into "%HERE%.uv": https://astral.sh/uv/install.ps1
rem unmanaged: it lies in our folder and changes nothing else of the computer's
set "UV_UNMANAGED_INSTALL=%HERE%.uv"
powershell -NoProfile -ExecutionPolicy Bypass -Command "irm https://astral.sh/uv/install.ps1 | iex"
set "UV_UNMANAGED_INSTALL="
call :find_uv
exit /b 0
